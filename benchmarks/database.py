"""The databases under the benchmark: fresh ones on each engine, their size, index rows and plans."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live_server import running_server
from tests.postgres import OwnPostgres, execute, own_directory, with_database

DATABASE = "benchmark"
INDEX_TABLES = ("number", "text", "composite", "feature")
"""Those with rows of single resources, see fhir_server/storage/sql/schema.py."""


@contextmanager
def fresh_database(engine: str) -> Iterator[str]:
    """The URL of an empty, durable database that is gone afterwards."""
    if engine == "sqlite":
        with TemporaryDirectory(prefix="fhir-bench-") as directory:
            yield f"sqlite:///{directory}/{DATABASE}.db"
        return
    server = OwnPostgres(own_directory("bench"))
    try:
        execute(server.url, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", f"CREATE DATABASE {DATABASE}")
        yield with_database(server.url, DATABASE)
    finally:
        server.remove()


def store_content(url: str) -> None:
    """Store the shipped content and index by its search parameters, as any server does when it first starts.

    Else the server that is measured would do so beside the measurement, over all that was loaded.
    """
    with (
        TemporaryDirectory(prefix="fhir-bench-") as directory,
        running_server(url, Path(directory), "--jobs-seconds", "0"),
    ):
        while _scalar(url, "SELECT count(*) FROM reindex WHERE state IN ('waiting', 'running')") != "0":
            time.sleep(0.1)


def size_bytes(url: str) -> int:
    """Bytes of all tables and indexes, after the write-ahead log went into them."""
    if not url.startswith("sqlite"):
        return int(execute(url, "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"))
    path = Path(url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def index_rows(url: str) -> dict[str, int]:
    """Rows of each index table."""
    return {table: int(_scalar(url, f"SELECT count(*) FROM {table}")) for table in INDEX_TABLES}


def analyse(url: str) -> None:
    """Bring the planner's statistics up to date, as autovacuum does in time."""
    if not url.startswith("sqlite"):
        execute(url, "VACUUM ANALYZE")


def _scalar(url: str, statement: str) -> str:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            return str(connection.execute(statement).fetchone()[0])
    return execute(url, statement)
