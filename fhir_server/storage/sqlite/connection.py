"""SQLite connections: pragmas, time budgets and the session that reads on the event loop or beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fhir_server.errors import FhirError, Overloaded, StorageFull, TooCostly, too_costly
from fhir_server.storage.sql.dialect import TAKES_TOO_LONG, TOO_LONG, WAITED_TOO_LONG

CHECK_EVERY = 4_000
"""Virtual machine steps between two looks at the budget: some 0.2 ms."""

INLINE_CHARACTERS = 10_000
"""A longer statement goes to a thread at once: the budget does not count while it is prepared."""

INLINE_SECONDS = 0.002
"""A read that takes longer leaves the event loop and starts again in a thread; the next of its text starts there."""

REMEMBERED = 1_000
"""So many texts are known to take longer, at most."""

PAGE_BYTES = 8192
"""Bodies of about 1 kB leave 11 % of such a page empty, 17 % of one of 4096 (docs/benchmarks.md)."""

READER_CACHE_KIB = 16_384
SCANNING_CACHE_KIB = 2_048
WRITER_CACHE_KIB = 24_576
CHECKPOINT_PAGES = 16_384


def connect(path: Path, *, synchronous: str = "FULL", cache_kib: int = READER_CACHE_KIB) -> sqlite3.Connection:
    """A connection in autocommit mode; the file is readable by its owner alone."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=0)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute("PRAGMA journal_size_limit = 134217728")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


LIMITS = ("too large", "too many", "stack overflow", "too big", "at most")
"""In SQLite's own words: an expression, a list of variables or columns, a parse, a text or a join over its limit."""


def translate(error: BaseException) -> Exception:
    """A driver's error as the caller should see it."""
    text = str(error)
    if any(limit in text for limit in LIMITS):
        return too_costly(TOO_LONG)
    if "interrupted" in text:
        return TooCostly(TAKES_TOO_LONG)
    if "full" in text or "disk I/O error" in text:
        return StorageFull("The server's disk is full or failing: nothing was written.")
    if "locked" in text or "busy" in text:
        return Overloaded("The database is busy; try again.")
    if isinstance(error, FhirError):
        return error
    return error if isinstance(error, Exception) else RuntimeError(text)


class _Budget:
    """What one statement may take in a thread; asked there, told of a client's departure from the event loop."""

    STRIDE = CHECK_EVERY * 10
    """Steps of the virtual machine between two looks."""

    def __init__(self, seconds: float, steps: int) -> None:
        self._seconds = seconds
        self._looks = -(-steps // self.STRIDE)
        self._started = self._ended = time.monotonic()
        self._deadline = self._started + seconds
        self.unwanted = False
        """Nobody waits for the rows any longer."""
        self.excess = ""
        """Which limit was passed."""

    def is_late(self) -> bool:
        """It has waited for a thread as long as it may run."""
        return time.monotonic() > self._deadline

    def start(self) -> None:
        self._started = time.monotonic()
        self._deadline = self._started + self._seconds

    def end(self) -> None:
        self._ended = time.monotonic()

    def used(self) -> float:
        """Seconds from start to end."""
        return self._ended - self._started

    def is_spent(self) -> bool:
        self._looks -= 1
        if self._looks == 0:
            self.excess = "reads more rows than one may (setting search_steps)"
        elif time.monotonic() > self._deadline:
            self.excess = f"takes over {self._seconds:g} s"
        return self.unwanted or bool(self.excess)


class SqliteSession:
    """Reads: at once on the event loop while they are short, else in a thread with the full budget."""

    postgresql = False

    def __init__(
        self, path: Path, *, seconds: float, steps: int = 0, threads: int = 2, cache_kib: int = READER_CACHE_KIB
    ) -> None:
        """`steps`: of SQLite's virtual machine, that one statement may take; 0 for any number."""
        self._path = path
        self._seconds = seconds
        self._steps = steps
        self._cache_kib = cache_kib
        self._inline = self._connect()
        self._deadline = 0.0
        self._inline.set_progress_handler(lambda: time.monotonic() > self._deadline, CHECK_EVERY)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sqlite-read")
        self._idle: list[sqlite3.Connection] = []
        self._long: set[str] = set()
        """Statements that took too long for the event loop when they ran last."""

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path, cache_kib=self._cache_kib)
        connection.execute("PRAGMA query_only = 1")
        return connection

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        if len(sql) <= INLINE_CHARACTERS and sql not in self._long:
            self._deadline = time.monotonic() + INLINE_SECONDS
            try:
                return self._inline.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                if "interrupted" not in str(error):
                    raise translate(error) from error
                if len(self._long) >= REMEMBERED:
                    self._long.clear()
                self._long.add(sql)
        budget = _Budget(self._seconds, self._steps)
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(self._threads, self._fetch_beside, sql, parameters, budget)
        except asyncio.CancelledError:
            budget.unwanted = True
            raise
        if budget.used() < INLINE_SECONDS:
            self._long.discard(sql)
        return rows

    def _fetch_beside(self, sql: str, parameters: Sequence[Any], budget: _Budget) -> Sequence[Sequence[Any]]:
        if budget.is_late():
            raise Overloaded(WAITED_TOO_LONG)
        connection = self._idle.pop() if self._idle else self._connect()
        budget.start()
        connection.set_progress_handler(budget.is_spent, _Budget.STRIDE)
        try:
            rows = connection.execute(sql, parameters).fetchall()
            budget.end()
            return rows
        except sqlite3.Error as error:
            if "interrupted" in str(error):
                raise TooCostly(
                    f"This search {budget.excess}: narrow it, for example by patient, code or date."
                ) from error
            raise translate(error) from error
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        for connection in (self._inline, *self._idle):
            connection.close()
