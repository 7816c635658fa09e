"""What a search touches in the database: pages, and rows (PostgreSQL) or virtual machine steps (SQLite)."""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import asyncpg

from benchmarks.plans import Recorded
from fhir_server.storage.postgresql.connection import SESSION


@dataclass(frozen=True)
class Touched:
    """Of one search, over all its statements; means over several searches."""

    statements: float
    pages: float
    rows: float
    """PostgreSQL: rows that scans looked at. SQLite, which does not count them: steps of its virtual machine."""


def touched(url: str, path: Path, searches: Sequence[Sequence[Recorded]]) -> Touched:
    if url.startswith("sqlite"):
        with SqliteReader(path) as reader:
            counts = [[reader.counts(*statement) for statement in search] for search in searches]
    else:
        counts = asyncio.run(_postgresql(url, searches))
    sums = [tuple(map(sum, zip(*search, strict=True))) for search in counts]
    return Touched(
        mean(len(search) for search in searches), mean(pages for pages, _ in sums), mean(rows for _, rows in sums)
    )


async def _postgresql(url: str, searches: Sequence[Sequence[Recorded]]) -> list[list[tuple[int, int]]]:
    connection = await asyncpg.connect(url, server_settings=SESSION)
    try:
        return [[await _analysed(connection, *statement) for statement in search] for search in searches]
    finally:
        await connection.close()


async def _analysed(connection: asyncpg.Connection, sql: str, parameters: Sequence[Any]) -> tuple[int, int]:
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", *parameters)
    plan = json.loads(text)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], round(sum(_scanned(plan)))


def _scanned(node: dict[str, Any]) -> Iterator[float]:
    if "Scan" in node["Node Type"]:
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        yield (node["Actual Rows"] + removed) * node["Actual Loops"]
    for part in node.get("Plans", ()):
        yield from _scanned(part)


class SqliteReader:
    """SQLite's C interface as far as counting needs it: Python's module does not show these counters.

    https://www.sqlite.org/c3ref/c_stmtstatus_counter.html, https://www.sqlite.org/c3ref/c_dbstatus_options.html
    """

    VM_STEP = 4
    CACHE_HIT, CACHE_MISS = 7, 8
    ROW = 100
    TRANSIENT = ctypes.c_void_p(-1)

    def __init__(self, path: Path) -> None:
        name = ctypes.util.find_library("sqlite3")
        if name is None:
            raise RuntimeError("the library of SQLite is not there")
        self._library = library = ctypes.CDLL(name)
        library.sqlite3_libversion.restype = ctypes.c_char_p
        if library.sqlite3_libversion().decode() != sqlite3.sqlite_version:
            raise RuntimeError("the library of SQLite is another version than Python's")
        library.sqlite3_bind_int64.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
        text = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
        library.sqlite3_bind_text.argtypes = text
        self._database = ctypes.c_void_p()
        self._check(library.sqlite3_open(str(path).encode(), ctypes.byref(self._database)))

    def __enter__(self) -> SqliteReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.sqlite3_close(self._database)

    def counts(self, sql: str, parameters: Sequence[Any]) -> tuple[int, int]:
        """Pages and steps of one statement, run to its end."""
        self._pages(reset=True)
        with self._prepared(sql, parameters) as statement:
            while (result := self._library.sqlite3_step(statement)) == self.ROW:
                pass
            self._check(0 if result == 101 else result)
            steps = self._library.sqlite3_stmt_status(statement, self.VM_STEP, 0)
        return self._pages(reset=True), steps

    @contextmanager
    def _prepared(self, sql: str, parameters: Sequence[Any]) -> Iterator[ctypes.c_void_p]:
        statement = ctypes.c_void_p()
        text = sql.encode()
        self._check(self._library.sqlite3_prepare_v2(self._database, text, len(text), ctypes.byref(statement), None))
        for place, value in enumerate(parameters, start=1):
            if isinstance(value, int):
                self._check(self._library.sqlite3_bind_int64(statement, place, value))
            elif isinstance(value, str):
                value = value.encode()  # noqa: PLW2901
                self._check(self._library.sqlite3_bind_text(statement, place, value, len(value), self.TRANSIENT))
            elif value is not None:
                raise TypeError(f"a parameter of type {type(value).__name__}")
        try:
            yield statement
        finally:
            self._library.sqlite3_finalize(statement)

    def _pages(self, *, reset: bool) -> int:
        total = 0
        for counter in (self.CACHE_HIT, self.CACHE_MISS):
            now, highest = ctypes.c_int(), ctypes.c_int()
            self._library.sqlite3_db_status(
                self._database, counter, ctypes.byref(now), ctypes.byref(highest), int(reset)
            )
            total += now.value
        return total

    def _check(self, result: int) -> None:
        if result:
            raise RuntimeError(f"SQLite: {result}")
