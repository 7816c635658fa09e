"""The one door to stored resources: what a store can do, whatever is behind it.

Two full implementations share `storage/sql`: `storage/sqlite` and `storage/postgresql`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fhir_server.storage.async_jobs import AsyncJobs
from fhir_server.storage.backup import Backups
from fhir_server.storage.export import Exports
from fhir_server.storage.parameters import ParameterDefinition, ParameterSet, Reindexing
from fhir_server.storage.query import HistoryQuery, IncludeQuery, Query
from fhir_server.storage.rows import IndexRows
from fhir_server.storage.scope import Scope

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes kept outside the resource row, in chunks; `offset` is where they stand (as base64) in the body."""

    offset: int
    size: int
    content_type: str


@dataclass(slots=True)
class StoredVersion:
    """One version of a resource as the store keeps it (not frozen: made for every entry of every page)."""

    resource_type: str
    logical_id: str
    version_id: int
    last_updated: int
    """Microseconds since 1970 UTC."""
    method: str
    """create, update or delete."""
    seq: int
    body: bytes | None
    """The resource as JSON bytes, ready to send; None for a deletion."""
    blob: Blob | None = None
    """Set when part of the body (Binary.data) is stored outside it."""


@dataclass(slots=True)
class Draft:
    """A resource ready to be written: serialised and indexed, all but the version.

    The stored body is head + `"versionId":"n","lastUpdated":"..."` + tail.
    """

    resource_type: str
    logical_id: str
    head: bytes
    tail: bytes
    rows: IndexRows
    fresh: bool = False
    """The id was just made by this server: no version of it can exist, so none is looked for."""
    blob_content: list[bytes] | None = None
    """Chunks of Binary.data (decoded) to be stored outside the row."""
    blob_offset: int = 0
    """Where the base64 of the blob stands in `tail`."""
    blob_content_type: str = ""
    epoch: int = 0
    """The set of search parameters that `rows` are of; an older one than the database's is not stored (StaleIndex)."""
    parameters: tuple[ParameterDefinition, ...] = ()
    """What a SearchParameter defines: with it stored, every process writes their rows."""
    companions: tuple[Draft, ...] = ()
    """Stored together with this one, each unless a version of it, a deletion too, was ever here."""
    about: tuple[str, str] | None = None
    """Of a companion: the type and id of whom it is about; of somebody deleted no new record is made."""


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of matches in the order asked for."""

    matches: list[StoredVersion]
    snapshot: int
    total: int | None = None
    next_after: tuple[int | str | None, ...] | None = None
    """`Query.after` of the next page; None when this is the last."""
    previous_after: tuple[int | str | None, ...] | None = None
    """`Query.after` of the previous page, to be read backward; None when this is the first."""


@dataclass(frozen=True, slots=True)
class Dated:
    """A resource found by one of its dates."""

    version: StoredVersion
    place: tuple[int, int, int]
    """Where it stands among the others: (date, primary date, seq)."""


@dataclass(frozen=True, slots=True)
class Included:
    """What the matches of a page include, each once, none of them a match; level by level, newest first."""

    resources: list[StoredVersion]
    next_after: tuple[int, int] | None = None
    """`IncludeQuery.after` of the rest; None when this is all."""
    cut: bool = False
    """Includes were not followed to their end: there are too many levels, or too many resources in one."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    versions: list[StoredVersion]
    """Newest first."""
    snapshot: int
    total: int | None = None
    next_before: int | None = None


@dataclass(slots=True)
class PurgeCounts:
    """What a purge removed."""

    resources: int = 0
    versions: int = 0
    index_rows: int = 0
    blobs: int = 0


@dataclass(slots=True)
class Inconsistency:
    """One finding of `Store.check`."""

    resource: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class ExplainedPlan:
    """How a query was planned; for people, in the store's own words."""

    resource_type: str
    driver: str
    """The predicate whose index rows are walked."""
    rank: str
    """How narrow it promises to be."""
    predicates: tuple[str, ...]
    """All of them, resolved."""


@dataclass(frozen=True, slots=True)
class ExplainedStatement:
    """A statement that was sent to the database."""

    sql: str
    milliseconds: float
    rows: int
    """Rows returned."""
    plan: str
    """The engine's own, with the rows and pages it touched where it tells."""


class Explained(Protocol):
    """The reading side of a store that keeps how each read was carried out."""

    @property
    def plans(self) -> list[ExplainedPlan]: ...
    @property
    def statements(self) -> list[ExplainedStatement]: ...


class Transaction(Protocol):
    """A unit of work inside the writer: sees its own writes, is committed whole or not at all."""

    last_updated: int
    """The lastUpdated (microseconds) every version written here gets."""

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None:
        """The newest version (a deletion too), or None when the id was never used. Body included."""
        ...

    async def versions(
        self, keys: list[tuple[str, str]], *, bodies: bool = False
    ) -> dict[tuple[str, str], StoredVersion]:
        """`current` for many, in one round trip; without `bodies` their body may be None."""
        ...

    async def vread(self, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None: ...

    async def history(self, query: HistoryQuery) -> HistoryPage: ...

    async def search(self, query: Query) -> SearchPage:
        """Matches as of this point of the transaction."""
        ...

    async def search_all(self, queries: Sequence[Query]) -> SearchPage: ...

    async def types(self) -> frozenset[str]: ...

    async def included(self, query: IncludeQuery, matches: Sequence[StoredVersion]) -> Included: ...

    async def put(self, draft: Draft) -> StoredVersion:
        """Write the next version; method is create when the id is new or deleted, else update.

        Raises StaleIndex when the draft's rows are of an older set of search parameters than the database's.
        """
        ...

    async def put_companions(self, draft: Draft) -> list[StoredVersion]:
        """Write of the draft's companions those that are not here yet; `put` does so too.

        Whatever the scope: they are the server's own doing, not the client's.
        """
        ...

    async def delete(self, resource_type: str, logical_id: str) -> StoredVersion | None:
        """Write a deletion; None when there was nothing to delete."""
        ...

    async def purge(self, resource_type: str, logical_id: str) -> PurgeCounts:
        """Remove the resource with its history, index and blobs; nothing stays."""
        ...

    async def read_blob(self, version: StoredVersion) -> bytes: ...


class Store(Protocol):
    """Everything the interactions need. Every call names the scope it acts in."""

    @property
    def reindexing(self) -> Reindexing:
        """The jobs that make index rows anew."""
        ...

    @property
    def async_jobs(self) -> AsyncJobs:
        """Long requests that are answered later."""
        ...

    @property
    def exports(self) -> Exports:
        """Everything as it was at one moment."""
        ...

    @property
    def backups(self) -> Backups:
        """Everything there ever was."""
        ...

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def ready(self) -> None:
        """Raise `Overloaded` when the store cannot answer."""
        ...

    async def read(self, scope: Scope, resource_type: str, logical_id: str) -> StoredVersion | None:
        """The newest version, a deletion too (body None); None when the id was never used."""
        ...

    async def vread(
        self, scope: Scope, resource_type: str, logical_id: str, version_id: int
    ) -> StoredVersion | None: ...

    def read_blob(self, scope: Scope, version: StoredVersion) -> AsyncIterator[bytes]:
        """The decoded bytes of `version.blob`, chunk by chunk (chunk sizes are multiples of 3 but for the last)."""
        ...

    async def search(self, scope: Scope, query: Query) -> SearchPage: ...

    async def search_all(self, scope: Scope, queries: Sequence[Query]) -> SearchPage:
        """One page of what several queries find together, of one type each and otherwise with the same order, count
        and place; without an order the newest version comes first."""
        ...

    async def earliest(self, p: int, until: int, count: int, after: tuple[int, int, int]) -> list[Dated]:
        """The first `count` current resources by the start of the date `p`, up to `until` (ms) and beyond `after`.

        For the server's own work: whatever the scope. The cost is that of what is found, however much is stored.
        """
        ...

    async def types(self) -> frozenset[str]:
        """Types of which there is something, or was; `#Type` of contained resources."""
        ...

    async def included(self, scope: Scope, query: IncludeQuery, matches: Sequence[StoredVersion]) -> Included:
        """What `matches` include of what the scope shows."""
        ...

    async def history(self, scope: Scope, query: HistoryQuery) -> HistoryPage: ...

    def explained(self) -> Explained:
        """What a search needs of this store (read, search, included ...), explained."""
        ...

    async def counts(self, scope: Scope) -> dict[str, int]:
        """Current resources of each type there is or was something of, from the counters."""
        ...

    async def write(self, scope: Scope, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in the writer, durable when this returns; it may be grouped with others' work.

        `work` may only await the transaction. An exception rolls back this work alone. It may be run
        again after a serialisation failure or a lost connection before commit.
        """
        ...

    async def epoch(self) -> int:
        """Counts the changes of the search parameters."""
        ...

    async def parameters(self) -> ParameterSet:
        """The custom search parameters as of now."""
        ...

    async def secret(self, name: str) -> bytes:
        """A 32-byte key kept in the database, made on first use, the same for all workers."""
        ...

    async def vacuum(self, horizon_seconds: int) -> int:
        """Drop index rows of versions superseded before the horizon; how many versions were cleared."""
        ...

    def check(self, extract: Callable[[bytes], IndexRows]) -> AsyncIterator[Inconsistency]:
        """Compare index rows, blobs, counters and histories with the bodies and what `extract` finds in them."""
        ...
