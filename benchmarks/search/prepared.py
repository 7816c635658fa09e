"""Databases that are loaded once and kept under var/: a fingerprint of what would be stored says when to load anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import msgspec
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from benchmarks.database import analyse, store_content
from benchmarks.process import run_counted
from benchmarks.search.population import SEED, Facts, cohort, write_population
from fhir_server.model.json import encode
from fhir_server.search.extract import extract
from fhir_server.storage.sql.schema import METADATA
from fhir_server.synthetic import generate
from tests.postgres import OwnPostgres, execute, with_database

ENGINES = ("sqlite", "postgresql")
SAMPLE = 2_000
"""Resources whose stored form decides whether a kept database still fits."""


@dataclass(frozen=True)
class Database:
    """A loaded database and what is in it."""

    engine: str
    size: int
    url: str
    facts: Facts
    load_seconds: float
    path: Path
    """Its file, or the folder of its PostgreSQL."""


class _Kept(msgspec.Struct):
    fingerprint: str
    load_seconds: float
    facts: Facts


class Shelf:
    """The kept databases of one folder, with the PostgreSQL they need."""

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        """`keep`: take databases as they are, whatever this version would store."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._keep = keep
        self._fingerprint = fingerprint()
        self._postgres: OwnPostgres | None = None

    def database(self, engine: str, size: int) -> Database:
        """Loaded when there is none that fits."""
        name = f"msk_{size}"
        path, url = self._place(engine, name)
        note = self._folder / f"{engine}-{size}.json"
        if note.exists():
            kept = msgspec.json.decode(note.read_bytes(), type=_Kept)
            if self._keep or kept.fingerprint == self._fingerprint:
                return Database(engine, size, url, kept.facts, kept.load_seconds, path)
            note.unlink()
        print(f"loading {size:,} resources into {engine} ...", flush=True)
        self._clear(engine, name, path)
        store_content(url)
        with self._resources(size) as (file, facts):
            seconds, _ = load(url, file)
        analyse(url)
        note.write_bytes(msgspec.json.encode(_Kept(self._fingerprint, seconds, facts)))
        return Database(engine, size, url, facts, seconds, path)

    @contextmanager
    def copied(self, database: Database) -> Iterator[str]:
        """The URL of a copy that may be written to, gone afterwards."""
        name = "scratch"
        path, url = self._place(database.engine, name)
        self._clear(database.engine, name, path)
        if database.engine == "sqlite":
            subprocess.run(["cp", str(database.path), str(path)], check=True)
        else:
            execute(
                self._server().url,
                f"DROP DATABASE {name}",
                f"CREATE DATABASE {name} TEMPLATE msk_{database.size} STRATEGY FILE_COPY",
            )
        try:
            yield url
        finally:
            if database.engine == "sqlite":
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{path}{suffix}").unlink(missing_ok=True)
            else:
                execute(self._server().url, f"DROP DATABASE {name} WITH (FORCE)")

    def postgres_pid(self) -> int:
        return int((self._server().directory / "postmaster.pid").read_text().split()[0])

    def _place(self, engine: str, name: str) -> tuple[Path, str]:
        if engine == "sqlite":
            path = self._folder / f"{name}.db"
            return path, f"sqlite:///{path}"
        return self._server().directory, with_database(self._server().url, name)

    def _server(self) -> OwnPostgres:
        if self._postgres is None:
            self._postgres = OwnPostgres(self._folder / "postgresql")
        return self._postgres

    def _clear(self, engine: str, name: str, path: Path) -> None:
        if engine == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            return
        execute(self._server().url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")

    @contextmanager
    def _resources(self, size: int) -> Iterator[tuple[Path, Facts]]:
        file, note = self._folder / f"population-{size}.ndjson", self._folder / f"population-{size}.json"
        made_of = population_fingerprint()
        if note.exists():
            kept = msgspec.json.decode(note.read_bytes(), type=_Kept)
            if kept.fingerprint == made_of and file.exists():
                yield file, kept.facts
                return
        facts = write_population(file, size)
        note.write_bytes(msgspec.json.encode(_Kept(made_of, 0, facts)))
        yield file, facts


def load(url: str, file: Path) -> tuple[float, float]:
    """Seconds and CPU seconds that `fhir-server load` takes, start of the process included."""
    return run_counted([sys.executable, "-m", "fhir_server.cli.main", "load", str(file), "--database", url])


def fingerprint() -> str:
    """Of the tables and of what a sample of the population is indexed as."""
    digest = blake2b(population_fingerprint().encode(), digest_size=8)
    for dialect in (sqlite.dialect(), postgresql.dialect()):  # type: ignore[no-untyped-call]
        for table in METADATA.sorted_tables:
            digest.update(str(CreateTable(table).compile(dialect=dialect)).encode())
            for index in sorted(table.indexes, key=lambda one: str(one.name)):
                digest.update(str(CreateIndex(index).compile(dialect=dialect)).encode())
    for resource in [*islice(generate(SEED), SAMPLE), *islice(cohort(), SAMPLE)]:
        parts = (sorted(part) if isinstance(part, list) else part for part in astuple(extract(resource)))
        digest.update(repr(list(parts)).encode())
    return digest.hexdigest()


def population_fingerprint() -> str:
    digest = blake2b(digest_size=8)
    for resource in [*islice(generate(SEED), SAMPLE), *cohort()]:
        digest.update(encode(resource))
    return digest.hexdigest()
