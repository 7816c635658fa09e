"""The Store over SQL: everything both engines share; an engine adds its connections."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from fhir_server.errors import BusinessRule, ResourceNotFound
from fhir_server.model.instant import MICROS
from fhir_server.storage import query as q
from fhir_server.storage.base import (
    Dated,
    Explained,
    HistoryPage,
    Included,
    Inconsistency,
    SearchPage,
    StoredVersion,
    Transaction,
)
from fhir_server.storage.codes import FIRST_CONTAINED_TYPE
from fhir_server.storage.parameters import ParameterSet
from fhir_server.storage.rows import EXTRACTION, IndexRows
from fhir_server.storage.scope import ALL, Scope
from fhir_server.storage.sql import check, include, parameters, purge, reads
from fhir_server.storage.sql.async_jobs import SqlAsyncJobs
from fhir_server.storage.sql.backup import RESTORING, SqlBackups
from fhir_server.storage.sql.dialect import Session, Statement, positional
from fhir_server.storage.sql.earliest import Place, earliest
from fhir_server.storage.sql.explain import ExplainedReads
from fhir_server.storage.sql.export import SqlExports
from fhir_server.storage.sql.reindexing import SqlReindexing
from fhir_server.storage.sql.resolve import stored_types
from fhir_server.storage.sql.transaction import SqlTransaction
from fhir_server.storage.sql.writer import GroupWriter

T = TypeVar("T")

VACUUM_BATCH = 100
"""Versions cleared by one work: SQLite clears them on the event loop, 100 in some 20 ms."""
SECRET_BYTES = 32
HELD_SECONDS = 24 * 3600
"""How long a long request keeps what it began with."""


class SqlStore:
    """Reads through `session`, writes through `writer`; both are set by the engine's `open`."""

    session: Session
    writer: GroupWriter

    def __init__(self) -> None:
        self._secrets: dict[str, bytes] = {}
        self.reindexing = SqlReindexing(self)
        self.async_jobs = SqlAsyncJobs(self)
        self.exports = SqlExports(self)
        self.backups = SqlBackups(self)

    async def ready(self) -> None:
        await self.session.fetch("SELECT c.seq FROM clock c", ())

    async def read(self, scope: Scope, resource_type: str, logical_id: str) -> StoredVersion | None:
        found = await reads.current(self.session, resource_type, logical_id)
        return found if not scope.predicates else await reads.permitted(self.session, scope, found)

    async def vread(self, scope: Scope, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None:
        found = await reads.vread(self.session, resource_type, logical_id, version_id)
        return await reads.permitted(self.session, scope, found)

    async def read_blob(self, scope: Scope, version: StoredVersion) -> AsyncIterator[bytes]:
        if await reads.permitted(self.session, scope, version) is None:
            raise ResourceNotFound(f"{version.resource_type}/{version.logical_id} is not known.")
        sql = positional(reads.CHUNK, self.session.postgresql)
        n = 0
        while rows := await self.session.fetch(sql, (version.seq, n)):
            yield rows[0][0]
            n += 1

    async def search(self, scope: Scope, query: q.Query) -> SearchPage:
        return await reads.search(self.session, scope, query)

    async def search_all(self, scope: Scope, queries: Sequence[q.Query]) -> SearchPage:
        return await reads.search_all(self.session, scope, queries)

    async def earliest(self, p: int, until: int, count: int, after: Place) -> list[Dated]:
        return await earliest(self.session, p, until, count, after)

    async def types(self) -> frozenset[str]:
        return await stored_types(self.session)

    async def included(self, scope: Scope, query: q.IncludeQuery, matches: Sequence[StoredVersion]) -> Included:
        return await include.included(self.session, scope, query, matches)

    async def history(self, scope: Scope, query: q.HistoryQuery) -> HistoryPage:
        return await reads.history(self.session, scope, query)

    def explained(self) -> Explained:
        return ExplainedReads(self)

    async def counts(self, scope: Scope) -> dict[str, int]:
        return await reads.counts(self.session, scope)

    async def write(self, scope: Scope, work: Callable[[Transaction], Awaitable[T]]) -> T:
        result: T = await self.writer.write(scope, work)
        return result

    async def epoch(self) -> int:
        rows = await self.session.fetch("SELECT c.epoch FROM clock c", ())
        return int(rows[0][0])

    async def parameters(self) -> ParameterSet:
        return await parameters.read(self.session)

    async def prepare(self) -> None:
        """Make what a new database needs now; a transaction cannot, it would wait for itself.

        Raises BusinessRule for a database that a restore has left half-done.
        """
        marked = positional("SELECT 1 FROM secret s WHERE s.name = ?", self.session.postgresql)
        if await self.session.fetch(marked, (RESTORING,)):
            raise BusinessRule("A restore of this database has not ended: restore into a new, empty one.")
        await self.secret("cursor")
        clock = await self.session.fetch("SELECT c.seq, c.extraction FROM clock c", ())
        if tuple(clock[0]) == (0, 0):
            await self.write(ALL, _of_this_extraction)  # type: ignore[arg-type]

    async def secret(self, name: str) -> bytes:
        if name not in self._secrets:
            self._secrets[name] = await self._find_secret(name)
        return self._secrets[name]

    def forget_secrets(self) -> None:
        """Others are in the database now."""
        self._secrets.clear()

    async def _find_secret(self, name: str) -> bytes:
        find = positional("SELECT s.value FROM secret s WHERE s.name = ?", self.session.postgresql)
        rows = await self.session.fetch(find, (name,))
        if rows:
            return bytes(rows[0][0])
        insert = positional(
            "INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", self.session.postgresql
        )

        async def work(transaction: Any) -> bytes:
            await transaction.connection.run(insert, (name, secrets.token_bytes(SECRET_BYTES)))
            made = await transaction.connection.fetch(find, (name,))
            return bytes(made[0][0])

        return await self.write(ALL, work)

    async def vacuum(self, horizon_seconds: int) -> int:
        """Clear the index of versions superseded before the horizon; snapshots older than it end.

        What a long request began with is kept until it ends, for a day at most.
        """
        now = time.time_ns() // 1000
        before = min(now - horizon_seconds * MICROS, await self.async_jobs.oldest(now - HELD_SECONDS * MICROS) or now)
        cleared = 0
        while batch := await self.write(ALL, lambda transaction: _vacuum_batch(transaction, before)):  # type: ignore[arg-type]
            cleared += batch
        return cleared

    def check(self, extract: Callable[[bytes], IndexRows]) -> AsyncIterator[Inconsistency]:
        return check.check(self.session, extract)


async def _of_this_extraction(transaction: SqlTransaction) -> None:
    """Nothing is stored yet, so nothing is of an older one."""
    sql = positional("UPDATE clock SET extraction = ? WHERE seq = 0", transaction.connection.postgresql)
    await transaction.connection.run(sql, (EXTRACTION,))


async def _vacuum_batch(transaction: SqlTransaction, before: int) -> int:
    connection = transaction.connection
    old = positional(
        f"SELECT s.seq, s.next_seq FROM superseded s WHERE s.at < ? ORDER BY s.at LIMIT {VACUUM_BATCH}",
        connection.postgresql,
    )
    rows = await connection.fetch(old, (before,))
    if not rows:
        return 0
    seqs = [row[0] for row in rows]
    floor = positional("UPDATE clock SET floor = ? WHERE floor < ?", connection.postgresql)
    newest = max(row[1] for row in rows)
    await connection.run(floor, (newest, newest))
    await purge.clear_index(connection, seqs)
    statement = Statement(connection.postgresql)
    gone = statement.one_of("seq", seqs)
    await connection.run(f"DELETE FROM superseded WHERE {gone}", statement.parameters)
    contained = f"DELETE FROM version WHERE {gone} AND type >= {FIRST_CONTAINED_TYPE}"
    await connection.run(contained, statement.parameters)
    return len(seqs)
