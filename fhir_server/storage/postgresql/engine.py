"""PostgreSQL's writer: a group takes the clock row's lock, sends its rows in one statement and commits.

The lock is held to the commit, so that seq order is commit order over all workers (docs/decisions/0005).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import asyncpg

from fhir_server.errors import Conflict, Overloaded
from fhir_server.storage.postgresql.connection import ERRORS, connect, translate
from fhir_server.storage.sql.followers import SUPERSEDE_POSTGRESQL
from fhir_server.storage.sql.pending import Pending
from fhir_server.storage.sql.transaction import SqlTransaction

COPY_ROWS = 3_000
"""Groups with more index rows go by COPY, table by table; smaller ones in one round trip."""

COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "version": (
        ("seq", "bigint"), ("rid", "bigint"), ("type", "smallint"), ("id", "text"), ("version", "integer"),
        ("last_updated", "bigint"), ("method", "smallint"), ("codec", "smallint"), ("body", "bytea"),
    ),
    "number": (("seq", "bigint"), ("p", "integer"), ("v", "bigint"), ("w", "bigint"), ("k", "bigint")),
    "text": (("seq", "bigint"), ("p", "integer"), ("v", "text"), ("w", "bigint"), ("k", "bigint")),
    "composite": (
        ("seq", "bigint"), ("p", "integer"), ("a", "bigint"), ("b", "bigint"), ("c", "bigint"), ("t", "text"),
        ("k", "bigint"),
    ),
    "superseded": (("seq", "bigint"), ("next_seq", "bigint"), ("at", "bigint")),
    "blob": (("seq", "bigint"), ("position", "integer"), ("size", "bigint"), ("content_type", "text")),
    "blob_chunk": (("seq", "bigint"), ("n", "integer"), ("content", "bytea")),
    "token": (("v", "bigint"), ("system", "text"), ("code", "text")),
    "type_stat": (("type", "smallint"), ("count", "bigint"), ("widest", "bigint")),
}  # fmt: skip

CONFLICT = {
    "token": " ON CONFLICT (v) DO NOTHING",
    "type_stat": " ON CONFLICT (type) DO UPDATE SET count = type_stat.count + excluded.count,"
    " widest = greatest(type_stat.widest, excluded.widest)",
}


class _Insert:
    """One INSERT ... SELECT FROM unnest(arrays) for any number of rows of a set of tables."""

    def __init__(self, tables: tuple[str, ...], features: bool) -> None:
        parts, n = [], 0
        for table in tables:
            columns = COLUMNS[table]
            arrays = ", ".join(f"${n + i}::{kind}[]" for i, (_, kind) in enumerate(columns, start=1))
            n += len(columns)
            names = ", ".join(name for name, _ in columns)
            parts.append(f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}){CONFLICT.get(table, '')}")
        if features:
            flat = f"unnest(${n + 1}::bigint[], ${n + 2}::integer[]) AS u (s, v)"
            parts.append(f"INSERT INTO feature (seq, items) SELECT u.s, array_agg(u.v) FROM {flat} GROUP BY u.s")
        *inner, last = parts
        steps = ", ".join(f"i{number} AS ({part})" for number, part in enumerate(inner))
        self.sql = f"WITH {steps} {last}" if steps else last


class PostgresqlEngine:
    """This worker's writing connection, made anew when it was lost."""

    errors: tuple[type[BaseException], ...] = ERRORS
    postgresql = True

    def __init__(self, url: str, *, seconds: float) -> None:
        """`seconds`: what a statement that reads may take; everybody waits for it."""
        self._url = url
        self._seconds = seconds
        self._connection: asyncpg.Connection | None = None
        self._known_tokens: set[int] = set()
        self._inserts: dict[tuple[tuple[str, ...], bool], _Insert] = {}
        self._committing = False

    async def begin(self) -> SqlTransaction:
        self._committing = False
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._url)
        await self._connection.execute("BEGIN")
        row = await self._connection.fetchrow("SELECT seq, last_updated, epoch FROM clock FOR UPDATE")
        now = max(time.time_ns() // 1000, row["last_updated"] + 1)
        self._seq = row["seq"]
        return SqlTransaction(self, row["seq"], now, row["epoch"], self._known_tokens)

    async def commit(self, transaction: SqlTransaction) -> None:
        await transaction.finish()
        if transaction.seq > self._seq:
            await self._open.execute(
                "WITH t AS (INSERT INTO tick (last_updated, seq) VALUES ($2, $1))"
                " UPDATE clock SET seq = $1, last_updated = $2",
                transaction.seq,
                transaction.last_updated,
            )
        self._committing = True
        await self._open.execute("COMMIT")
        self._committing = False
        self._known_tokens |= transaction.new_tokens

    async def rollback(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.is_closed() or self._committing:
                raise asyncpg.InterfaceError("connection lost")
            await connection.execute("ROLLBACK")
        except ERRORS:
            connection.terminate()
            self._connection = None

    def translate(self, error: BaseException) -> Exception:
        if self._committing and not isinstance(error, asyncpg.PostgresError):
            return Overloaded("The database was lost during the commit: read back whether the write took effect.")
        return translate(error)

    async def close(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close()

    @property
    def _open(self) -> asyncpg.Connection:
        if self._connection is None:
            raise asyncpg.InterfaceError("no connection")
        return self._connection

    # -- Connection ------------------------------------------------------------------------------------------

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        try:
            rows: Sequence[Sequence[Any]] = await self._open.fetch(sql, *parameters, timeout=self._seconds)
        except TimeoutError as error:
            raise asyncpg.QueryCanceledError(str(error)) from error
        return rows

    async def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """The number at the end of the command tag; 0 when there is none (SAVEPOINT)."""
        tag = await self._open.execute(sql, *parameters)
        last = tag.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    async def send(self, pending: Pending) -> None:
        await self._check_tokens(pending.token)
        rows: dict[str, list[tuple[Any, ...]]] = {
            table: getattr(pending, table) for table in COLUMNS if table != "type_stat"
        }
        rows["type_stat"] = [(number, *sums) for number, sums in pending.stats().items()]
        if len(pending.number) + len(pending.text) > COPY_ROWS:
            for table in [table for table in rows if table not in CONFLICT and rows[table]]:
                names = [name for name, _ in COLUMNS[table]]
                await self._open.copy_records_to_table(table, records=rows[table], columns=names)
                rows[table] = []
            if pending.feature:
                await self._open.copy_records_to_table("feature", records=pending.feature, columns=["seq", "items"])
                pending.feature = []
        await self._insert({table: found for table, found in rows.items() if found}, pending.feature)
        if pending.superseded:
            await self._open.execute(SUPERSEDE_POSTGRESQL, *map(list, zip(*pending.superseded, strict=True)))

    async def _insert(self, rows: dict[str, list[tuple[Any, ...]]], features: list[tuple[int, list[int]]]) -> None:
        if not rows and not features:
            return
        shape = (tuple(rows), bool(features))
        insert = self._inserts.get(shape)
        if insert is None:
            insert = self._inserts[shape] = _Insert(*shape)
        arrays: list[list[Any]] = [list(column) for found in rows.values() for column in zip(*found, strict=True)]
        if features:
            arrays.append([seq for seq, items in features for _ in items])
            arrays.append([item for _, items in features for item in items])
        await self._open.execute(insert.sql, *arrays)

    async def _check_tokens(self, tokens: list[tuple[int, str, str]]) -> None:
        """Refuse a token whose 64-bit identity another one has (docs/decisions/0003)."""
        if not tokens:
            return
        known = await self._open.fetch(
            "SELECT v, system, code FROM token WHERE v = ANY($1::bigint[])", [v for v, _, _ in tokens]
        )
        stored = {row["v"]: (row["system"], row["code"]) for row in known}
        for v, system, code in tokens:
            if stored.get(v, (system, code)) != (system, code):
                raise Conflict(f"The code {code} of {system} cannot be stored: its identity is taken.")
