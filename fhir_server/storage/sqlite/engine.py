"""SQLite's writer: statements run on the event loop (they take microseconds), the commit's flush in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fhir_server.errors import Conflict
from fhir_server.storage.sql.followers import SUPERSEDE_SQLITE
from fhir_server.storage.sql.pending import Pending
from fhir_server.storage.sql.purge import pack
from fhir_server.storage.sql.put_off import MARKED
from fhir_server.storage.sql.transaction import SqlTransaction
from fhir_server.storage.sqlite.checkpoint import Checkpointer
from fhir_server.storage.sqlite.connection import CHECK_EVERY, WRITER_CACHE_KIB, connect, translate

BUSY_SECONDS = 10.0
"""How long to wait for another process that writes."""

SORTED_ROWS = 20_000
"""Rows sorted at once: sorting holds the interpreter, and with it the event loop, for some 10 ms."""

THREAD_ROWS = 4_000
"""Groups with more index rows are sent from the thread, so that the event loop stays free."""

INSERTS = {
    "version": "INSERT INTO version (seq, rid, type, id, version, last_updated, method, codec, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "number": "INSERT INTO number (seq, p, v, w, k) VALUES (?, ?, ?, ?, ?)",
    "text": "INSERT INTO text (seq, p, v, w, k) VALUES (?, ?, ?, ?, ?)",
    "composite": "INSERT INTO composite (seq, p, a, b, c, t, k) VALUES (?, ?, ?, ?, ?, ?, ?)",
    "token": "INSERT INTO token (v, system, code) VALUES (?, ?, ?) ON CONFLICT (v) DO NOTHING",
    "superseded": "INSERT INTO superseded (seq, next_seq, at) VALUES (?, ?, ?)",
    "blob": "INSERT INTO blob (seq, position, size, content_type) VALUES (?, ?, ?, ?)",
    "blob_chunk": "INSERT INTO blob_chunk (seq, n, content) VALUES (?, ?, ?)",
}
STAT = (
    "INSERT INTO type_stat (type, count, widest) VALUES (?, ?, ?) ON CONFLICT (type) DO UPDATE"
    " SET count = count + excluded.count, widest = max(widest, excluded.widest)"
)


class SqliteEngine:
    """The one writing connection of the one writing process."""

    errors: tuple[type[BaseException], ...] = (sqlite3.Error,)
    postgresql = False

    def __init__(self, path: Path, *, synchronous: str, seconds: float) -> None:
        """`seconds`: what a statement that reads may take; everybody waits for it."""
        self._connection = connect(path, synchronous=synchronous, cache_kib=WRITER_CACHE_KIB)
        self._seconds = seconds
        self._deadline = math.inf
        self._connection.set_progress_handler(lambda: time.monotonic() > self._deadline, CHECK_EVERY)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self._checkpointer = Checkpointer(path, synchronous)
        self._known_tokens: set[int] = set()
        self._postings = self._connection.execute(MARKED).fetchone() is None
        """Not while they are put off (storage/put_off.py)."""

    async def begin(self) -> SqlTransaction:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.005)
        seq, last_updated, epoch = self._connection.execute("SELECT seq, last_updated, epoch FROM clock").fetchone()
        now = max(time.time_ns() // 1000, last_updated + 1)
        return SqlTransaction(self, seq, now, epoch, self._known_tokens)

    async def commit(self, transaction: SqlTransaction) -> None:
        await transaction.finish()
        if transaction.seq > self._connection.execute("SELECT seq FROM clock").fetchone()[0]:
            when = (transaction.seq, transaction.last_updated)
            self._connection.execute("UPDATE clock SET seq = ?, last_updated = ?", when)
            self._connection.execute("INSERT INTO tick (seq, last_updated) VALUES (?, ?)", when)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.execute, "COMMIT")
        self._checkpointer.committed(self._connection.total_changes)
        self._known_tokens |= transaction.new_tokens

    async def rollback(self) -> None:
        if self._connection.in_transaction:
            # SQLite rolls back by itself on the errors that make this fail.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def translate(self, error: BaseException) -> Exception:
        return translate(error)

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._checkpointer.close()
        self._connection.close()

    # -- Connection ------------------------------------------------------------------------------------------

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        self._deadline = time.monotonic() + self._seconds
        try:
            return self._connection.execute(sql, parameters).fetchall()
        finally:
            self._deadline = math.inf

    async def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, parameters).rowcount

    async def send(self, pending: Pending) -> None:
        if len(pending.number) + len(pending.text) > THREAD_ROWS or pending.blob_chunk:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._insert, pending)
        else:
            self._insert(pending)

    def _insert(self, pending: Pending) -> None:
        execute = self._connection.executemany
        self._check_tokens(pending.token)
        for table, sql in INSERTS.items():
            for rows in _in_key_order(getattr(pending, table)):
                execute(sql, rows)
        execute(SUPERSEDE_SQLITE, pending.superseded)
        if pending.feature:
            execute(
                "INSERT INTO feature (seq, items) VALUES (?, ?)", [(s, pack(items)) for s, items in pending.feature]
            )
            postings = [(v, seq) for seq, items in pending.feature for v in items] if self._postings else []
            for piece in _in_key_order(postings):
                execute("INSERT INTO posting (v, seq) VALUES (?, ?)", piece)
        if pending.stat:
            execute(STAT, [(number, *sums) for number, sums in pending.stats().items()])

    def _check_tokens(self, tokens: list[tuple[int, str, str]]) -> None:
        """Refuse a token whose 64-bit identity another one has (docs/decisions/0003)."""
        for v, system, code in tokens:
            known = self._connection.execute("SELECT system, code FROM token WHERE v = ?", (v,)).fetchone()
            if known is not None and known != (system, code):
                raise Conflict(f"The code {code} of {system} cannot be stored: its identity is taken.")


def _in_key_order(rows: list[Any]) -> Iterator[list[Any]]:
    """Pieces of `rows`, each sorted, so that neighbouring rows land on the same pages."""
    for start in range(0, len(rows), SORTED_ROWS):
        yield sorted(rows[start : start + SORTED_ROWS])
