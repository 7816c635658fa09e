"""Reads that keep what they sent to the database and how it was carried out (setting `explain`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fhir_server.storage import query as q
from fhir_server.storage.base import ExplainedPlan, ExplainedStatement, Included, SearchPage, StoredVersion
from fhir_server.storage.scope import Scope
from fhir_server.storage.sql import include, reads
from fhir_server.storage.sql.dialect import Session
from fhir_server.storage.sql.plan import Plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fhir_server.storage.sql.store import SqlStore


_RANKS = ("selective", "token", "range", "listing")


class ExplainingSession:
    """A session that times each statement and asks the engine for its plan."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.postgresql = session.postgresql
        self.statements: list[ExplainedStatement] = []
        self.plans: list[ExplainedPlan] = []

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        started = time.perf_counter()
        rows = await self._session.fetch(sql, parameters)
        milliseconds = (time.perf_counter() - started) * 1000
        # PostgreSQL runs the statement once more for the rows and pages it touches; SQLite names its steps alone.
        asking = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF)" if self.postgresql else "EXPLAIN QUERY PLAN"
        plan = [str(row[-1]) for row in await self._session.fetch(f"{asking} {sql}", parameters)]
        self.statements.append(ExplainedStatement(sql, milliseconds, len(rows), "\n".join(plan)))
        return rows

    def planned(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            query, driver = plan.query, plan.driver
            predicates = tuple(repr(one) for one in query.predicates)
            rank = _RANKS[driver.rank]
            self.plans.append(ExplainedPlan(query.resource_type, repr(driver.predicate), rank, predicates))


class ExplainedReads:
    """What a search needs of a Store, explained."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._session = ExplainingSession(store.session)

    @property
    def statements(self) -> list[ExplainedStatement]:
        return self._session.statements

    @property
    def plans(self) -> list[ExplainedPlan]:
        return self._session.plans

    async def read(self, scope: Scope, resource_type: str, logical_id: str) -> StoredVersion | None:
        found = await reads.current(self._session, resource_type, logical_id)
        return await reads.permitted(self._session, scope, found)

    async def vread(self, scope: Scope, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None:
        found = await reads.vread(self._session, resource_type, logical_id, version_id)
        return await reads.permitted(self._session, scope, found)

    async def search(self, scope: Scope, query: q.Query) -> SearchPage:
        return await reads.search(self._session, scope, query, self._session.planned)

    async def search_all(self, scope: Scope, queries: Sequence[q.Query]) -> SearchPage:
        return await reads.search_all(self._session, scope, queries, self._session.planned)

    async def types(self) -> frozenset[str]:
        return await self._store.types()

    async def included(self, scope: Scope, query: q.IncludeQuery, matches: Sequence[StoredVersion]) -> Included:
        return await include.included(self._session, scope, query, matches)

    def read_blob(self, scope: Scope, version: StoredVersion) -> AsyncIterator[bytes]:
        return self._store.read_blob(scope, version)

    async def secret(self, name: str) -> bytes:
        return await self._store.secret(name)
