"""What an export reads of a store: every resource as it was at one moment, type by type in the order it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fhir_server.storage.base import StoredVersion


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of the commit order, and the lastUpdated (microseconds) of its last commit: all later ones are later."""

    seq: int
    last_updated: int


@dataclass(frozen=True, slots=True)
class Extent:
    """The versions of one type that are current at `snapshot` and were written after `first`, up to `last`."""

    resource_type: str
    snapshot: int
    first: int
    last: int


class Exports(Protocol):
    """Each call reads one page, in a database transaction of its own."""

    async def now(self) -> Moment: ...

    async def seq_at(self, last_updated: int) -> int:
        """The last place of the commit order whose lastUpdated (microseconds) is not later; 0 before the first."""
        ...

    async def page(self, extent: Extent, after: int, count: int) -> Sequence[tuple[int, bytes]]:
        """(place, body) of up to `count` versions beyond the place `after`.

        Of a Binary without what is kept beside it.
        """
        ...

    async def deleted(self, extent: Extent, after: int, count: int) -> Sequence[tuple[int, str, int]]:
        """(place, logical id, version id of the deletion) of up to `count` resources that were deleted in the extent
        and are so at its end."""
        ...

    async def versions(self, seqs: Sequence[int]) -> list[StoredVersion]:
        """Those of these places, in their order."""
        ...

    async def owners(self, seqs: Sequence[int], snapshot: int) -> dict[int, list[int]]:
        """The patients (model.identity.rid) in whose compartments the versions of these places are, where any.

        Raises ResourceGone when the index of `snapshot` is no longer kept: nobody would know whose they are.
        """
        ...
