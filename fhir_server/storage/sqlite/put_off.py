"""SQLite's largest indexes put off: number_search, and the postings of words, which `feature` holds as well.

Who marks the file, or makes what is missing, has it for itself (pragma.html#pragma_locking_mode): no other process has
it open then, and whoever opens it later finds the mark.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from fhir_server.storage.sql.migrate import migrate_sqlite
from fhir_server.storage.sql.purge import unpack
from fhir_server.storage.sql.put_off import MARK, MARKED, MOST_STORED, STORED, UNMARK, index_statement, under_way

SORTING_KIB = 65_536
_INDEX = "number_search"


@asynccontextmanager
async def put_off(path: Path) -> AsyncIterator[bool]:
    """Whether it is, until this ends."""
    migrate_sqlite(path)
    done = _begin(path)
    try:
        yield done
    finally:
        if done:
            await asyncio.to_thread(make_up, path)


def is_put_off(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(MARKED).fetchone() is not None
    finally:
        connection.close()


def make_up(path: Path) -> None:
    """Make what was put off. Raises BusinessRule while another process has the file open."""
    with _alone(path) as connection:
        if connection is None:
            raise under_way()
        # New pages go straight to the file, none through a log.
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute(index_statement(_INDEX, "sqlite"))
        connection.execute("BEGIN")
        connection.execute("DELETE FROM posting")
        connection.execute("CREATE TEMP TABLE unsorted (v INTEGER, seq INTEGER)")
        connection.executemany("INSERT INTO unsorted (v, seq) VALUES (?, ?)", _postings(connection))
        connection.execute("INSERT INTO posting (v, seq) SELECT v, seq FROM unsorted ORDER BY v, seq")
        connection.execute("DROP TABLE unsorted")
        connection.execute(UNMARK)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


def _postings(connection: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    for seq, items in connection.execute("SELECT seq, items FROM feature"):
        for v in unpack(items):
            yield v, seq


def _begin(path: Path) -> bool:
    with _alone(path) as connection:
        if connection is None:
            return False
        connection.execute("BEGIN IMMEDIATE")
        marked = connection.execute(MARKED).fetchone() is not None
        if not marked and connection.execute(STORED).fetchone()[0] > MOST_STORED:
            connection.execute("ROLLBACK")
            return False
        connection.execute(MARK)
        connection.execute(f"DROP INDEX IF EXISTS {_INDEX}")
        connection.execute("COMMIT")
        return True


@contextmanager
def _alone(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that keeps every other process out; None when one has the file open."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.OperationalError:
            yield None
            return
        connection.execute(f"PRAGMA cache_size = -{SORTING_KIB}")
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("PRAGMA threads = 2")
        with _sorting_beside(path):
            yield connection
    finally:
        connection.close()


@contextmanager
def _sorting_beside(path: Path) -> Iterator[None]:
    """What is sorted lies beside the database, where there is room for it (tempfiles.html section 5)."""
    before = os.environ.get("SQLITE_TMPDIR")
    os.environ["SQLITE_TMPDIR"] = before or str(path.resolve().parent)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SQLITE_TMPDIR"]
