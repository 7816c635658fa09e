"""What a backup reads of a store and a restore writes: versions as they stand, in the order they were committed.

Index rows are not among it: whoever restores makes them anew, on whichever engine, by the rules of its own release.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

Row = tuple[Any, ...]


class Backups(Protocol):
    async def versions(self, after: int, upto: int, count: int) -> Sequence[Row]:
        """(seq, rid, type, id, version, last_updated, method, codec, body) of up to `count` versions beyond `after`."""
        ...

    def blobs(self, seqs: Sequence[int]) -> AsyncIterator[tuple[Row, int, bytes]]:
        """((seq, position, size, content type), number, content) of each chunk that is kept beside those versions."""
        ...

    async def settings(self) -> dict[str, list[Row]]:
        """The rows of the small tables: secrets and search parameters."""
        ...

    async def begin(self) -> None:
        """Mark the store as one that is being restored: it is not served before `end`.

        Raises BusinessRule (422) for one that holds something.
        """
        ...

    async def add(self, versions: Sequence[Row]) -> None: ...

    async def add_chunk(self, blob: Row, number: int, content: bytes) -> None: ...

    async def settle(self, seq: int, last_updated: int, settings: dict[str, list[Row]]) -> None:
        """All versions are there, up to `seq`: list those that are current, count them, and set the clock."""
        ...

    async def end(self) -> None:
        """The index is complete: the store may be served."""
        ...
