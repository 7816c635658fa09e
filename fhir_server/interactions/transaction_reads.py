"""Reads inside a transaction: the Store's reading side over the running unit of work (R4 http.html#trules, step 4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from fhir_server.storage.base import HistoryPage, Included, SearchPage, Store, StoredVersion, Transaction
from fhir_server.storage.query import HistoryQuery, IncludeQuery, Query
from fhir_server.storage.scope import Scope


class TransactionReads:
    """What a read, vread, search or history needs of a Store; the scope is the transaction's."""

    def __init__(self, transaction: Transaction, store: Store) -> None:
        self._transaction = transaction
        self._store = store

    async def read(self, scope: Scope, resource_type: str, logical_id: str) -> StoredVersion | None:
        return await self._transaction.current(resource_type, logical_id)

    async def vread(self, scope: Scope, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None:
        return await self._transaction.vread(resource_type, logical_id, version_id)

    async def search(self, scope: Scope, query: Query) -> SearchPage:
        return await self._transaction.search(query)

    async def search_all(self, scope: Scope, queries: Sequence[Query]) -> SearchPage:
        return await self._transaction.search_all(queries)

    async def types(self) -> frozenset[str]:
        return await self._transaction.types()

    async def included(self, scope: Scope, query: IncludeQuery, matches: Sequence[StoredVersion]) -> Included:
        return await self._transaction.included(query, matches)

    async def history(self, scope: Scope, query: HistoryQuery) -> HistoryPage:
        return await self._transaction.history(query)

    async def read_blob(self, scope: Scope, version: StoredVersion) -> AsyncIterator[bytes]:
        yield await self._transaction.read_blob(version)

    async def secret(self, name: str) -> bytes:
        """Made before the transaction began: a write inside it would wait for itself."""
        return await self._store.secret(name)
