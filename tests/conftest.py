"""Fixtures shared by all tests: both database engines, a store, a server in this process and a real one.

PostgreSQL is the server named by FHIR_TEST_POSTGRES_URL, or one of our own from a wheel. It is never
skipped: when it cannot start, the tests that need it fail.
"""

from __future__ import annotations

import os
import shutil
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fhir_server.interactions.exchange import Server
from fhir_server.settings import Settings
from fhir_server.storage.base import Store
from tests.live_server import LiveServer, running_server
from tests.postgres import OwnPostgres, execute, own_directory, with_database

# Every client of httpx reads the certificates of all the world, 17 ms, and no test speaks TLS: one context will do.
ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]
ENGINES = ("sqlite", "postgresql")
RUN_VARIABLE = "FHIR_TEST_RUN"
"""Names this test run; set by the controlling process and inherited by its workers."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-postgresql",
        action="store_true",
        help="Fail the run when no test passed on PostgreSQL or one was skipped.",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[RUN_VARIABLE] = uuid.uuid4().hex[:12]
        config.pluginmanager.register(PostgresqlGuard(required=bool(config.getoption("--require-postgresql"))))


def pytest_unconfigure(config: pytest.Config) -> None:
    directory = own_directory(os.environ.get(RUN_VARIABLE, ""))
    if not hasattr(config, "workerinput") and directory.exists():
        if (directory / "postmaster.pid").exists():
            OwnPostgres(directory).remove()
        shutil.rmtree(directory, ignore_errors=True)


class PostgresqlGuard:
    """Turns a run in which PostgreSQL was skipped, or never tried, into a failure."""

    def __init__(self, *, required: bool) -> None:
        self.required = required
        self.passed = 0
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "postgresql" in report.nodeid:
            self.passed += report.when == "call" and report.passed
            if report.skipped and not hasattr(report, "wasxfail"):
                self.skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.complaint() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if complaint := self.complaint():
            terminalreporter.section("PostgreSQL", red=True)
            terminalreporter.line(complaint)

    def complaint(self) -> str:
        if not self.required:
            return ""
        if self.skipped:
            return f"Tests on PostgreSQL were skipped, which counts as a failure: {', '.join(self.skipped)}"
        if not self.passed:
            return "No test passed on PostgreSQL. Install the dev extra (make install) or set FHIR_TEST_POSTGRES_URL."
        return ""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL whose databases this run may create and drop; one for all workers."""
    if url := os.environ.get("FHIR_TEST_POSTGRES_URL"):
        yield url
    else:
        yield OwnPostgres(own_directory(os.environ[RUN_VARIABLE]), durable=False).url


@pytest.fixture(params=ENGINES, scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn: a test that uses it, directly or through `store`, runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """A function giving the URL of an empty database of the engine named; all are dropped at the end."""
    created: list[tuple[str, str]] = []

    def create(engine: str, template: str = "template0") -> str:
        name = f"fhir_{uuid.uuid4().hex[:16]}"
        if engine == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('database') / name}.db"
        url = request.getfixturevalue("postgres_url")
        execute(url, f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        created.append((url, name))
        return with_database(url, name)

    yield create
    for url, name in created:
        execute(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def new_stocked_database(
    new_database: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """A function giving the URL of a database of the engine named that holds the shipped content, and nothing else.

    A server stored it once; the others are copies, which spares each server of the run to store it again.
    """
    stocked: dict[str, str] = {}

    def create(engine: str) -> str:
        if engine not in stocked:
            stocked[engine] = new_database(engine)
            with running_server(stocked[engine], tmp_path_factory.mktemp("stock"), "--jobs-seconds", "0"):
                """The content is there when it is ready."""
        if engine == "sqlite":
            copy = new_database(engine)
            shutil.copyfile(stocked[engine].removeprefix("sqlite:///"), copy.removeprefix("sqlite:///"))
            return copy
        return new_database(engine, urlsplit(stocked[engine]).path.removeprefix("/"))

    return create


@pytest.fixture(scope="session")
def spare_databases() -> list[str]:
    """Databases on PostgreSQL that tests have done with: to empty one is quicker than to make one."""
    return []


@pytest.fixture
def database_url(engine: str, new_database: Callable[[str], str], spare_databases: list[str]) -> Iterator[str]:
    """An empty database of this test's own."""
    if engine == "sqlite":
        yield new_database(engine)
        return
    url = spare_databases.pop() if spare_databases else new_database(engine)
    yield url
    with suppress(RuntimeError):  # somebody holds a lock in it still: the next test gets another
        execute(url, "SET lock_timeout = '1s'", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        spare_databases.append(url)


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database=database_url, content=False)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """An open, empty store on each engine."""
    from fhir_server.storage import open_store

    store = await open_store(settings)
    yield store
    await store.close()


@pytest.fixture
def server(store: Store, settings: Settings) -> Server:
    """What interactions and operations work with, on each engine, in this process."""
    return Server(store, settings)


@pytest.fixture(scope="module")
def live_server(
    engine: str, new_stocked_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A real server process with the shipped content, one per module and engine."""
    with running_server(new_stocked_database(engine), tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def base_url(live_server: LiveServer) -> str:
    """The FHIR base of `live_server`."""
    return live_server.base_url


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]
