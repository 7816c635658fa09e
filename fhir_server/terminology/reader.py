"""What terminology reads stored resources with: a Store in a scope, or a running Transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from fhir_server.model.aside import aside
from fhir_server.storage.base import SearchPage, Store, StoredVersion, Transaction
from fhir_server.storage.query import Query
from fhir_server.storage.scope import Scope

T = TypeVar("T")


class Reader(Protocol):
    """Reads as its caller may: what the caller must not see is as if absent."""

    async def search(self, query: Query) -> SearchPage: ...

    async def vread(self, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None: ...

    async def types(self) -> frozenset[str]:
        """Types of which there is something, or was; `#Type` of contained resources."""
        ...

    async def work(self, size: int, work: Callable[[], T]) -> T:
        """The result of `work`, whose cost grows with `size` bytes."""
        ...

    def is_committed(self, version: StoredVersion) -> bool:
        """The version stays what it is: what was made of it may be kept."""
        ...


class StoreReader:
    """Large work is done beside the event loop."""

    def __init__(self, store: Store, scope: Scope) -> None:
        self._store = store
        self._scope = scope

    async def search(self, query: Query) -> SearchPage:
        return await self._store.search(self._scope, query)

    async def vread(self, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None:
        return await self._store.vread(self._scope, resource_type, logical_id, version_id)

    async def types(self) -> frozenset[str]:
        return await self._store.types()

    async def work(self, size: int, work: Callable[[], T]) -> T:
        return await aside(size, work)

    def is_committed(self, version: StoredVersion) -> bool:
        del version
        return True


class TransactionReader:
    """Sees what the transaction wrote. Work is done in place: a transaction waits for nothing but itself."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def search(self, query: Query) -> SearchPage:
        return await self._transaction.search(query)

    async def vread(self, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None:
        return await self._transaction.vread(resource_type, logical_id, version_id)

    async def types(self) -> frozenset[str]:
        return await self._transaction.types()

    async def work(self, size: int, work: Callable[[], T]) -> T:
        del size
        return work()

    def is_committed(self, version: StoredVersion) -> bool:
        """What this transaction wrote may be undone, and its seq and version given to another content."""
        return version.last_updated < self._transaction.last_updated
