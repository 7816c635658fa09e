"""One export carried out: pages of resources become lines of files, step by step; a step can be done again.

Nothing is parsed unless elements are left out or it is de-identified: a stored body is a line as it stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from fhir_server.bulk.export.encodings import Encoder, Sink, encoder
from fhir_server.bulk.export.people import People
from fhir_server.deidentification.deidentifier import Deidentifier
from fhir_server.interactions.binary import complete_body
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.subset import Subset
from fhir_server.operations.export_plan import PARQUET, Place, Plan
from fhir_server.operations.stored import content_of
from fhir_server.search.conditional import conditional_criteria
from fhir_server.search.extract import extract
from fhir_server.storage.export import Extent
from fhir_server.storage.query import And, Or, Query
from fhir_server.storage.scope import ALL
from fhir_server.terminology.reader import StoreReader

STEP_SECONDS = 1.0
"""Of a step: as much as is done again after a crash."""
PAGE = 2_000
"""Resources of one read: some 2 MB."""
MOST_LINES = 250_000
"""Of one file."""
LONGEST_FILE = 1 << 30
"""Bytes beyond which the next file is begun."""
_READING = Request("GET", "")


Open = Callable[[str, int], Sink]
"""Opens the file of a name to be written on from a length."""


@dataclass(slots=True)
class Written:
    """What a step has done: where to go on, and lines by file."""

    place: Place
    lines: dict[str, int]


@dataclass(slots=True)
class Exporter:
    server: Server
    plan: Plan
    people: People
    open: Open
    deidentifier: Deidentifier | None = None
    _queries: dict[str, Query] = field(default_factory=dict)

    async def step(self, place: Place, seconds: float) -> Written:
        """Go on from `place` for about so long; all that is told of is on disk when this returns."""
        deadline = time.monotonic() + seconds
        lines: dict[str, int] = {}
        place = msgspec.structs.replace(
            place,
            opted_out=len(self.people.refusing),
            opted_out_nationally=len(self.people.nationally),
            missing=self.people.missing,
        )
        with ExitStack() as opened:
            files, ahead = _OpenFiles(self.open, opened), _Ahead()
            try:
                while place.number < self.plan.parts and time.monotonic() < deadline:
                    # One page is written while the next is read.
                    found, after = await self._read(place)
                    place = msgspec.structs.replace(place, length=place.length + await ahead.done())
                    if found:
                        name = self.plan.file(place)
                        ahead.begin(partial(files.add, name, place.length, found))
                        lines[name] = lines.get(name, 0) + len(found)
                        place = msgspec.structs.replace(place, lines=place.lines + len(found))
                    if after is None or place.lines >= MOST_LINES or place.length >= LONGEST_FILE:
                        await ahead.done()
                    place = self._following(place, after)
                place = msgspec.structs.replace(place, length=place.length + await ahead.done())
                await asyncio.to_thread(files.keep)
                if self.plan.file(place) in lines and self.plan.file(place).endswith(PARQUET):
                    place = _next_file(place)  # nothing can be added to it
            finally:
                # Not before it has ended are its files closed.
                with suppress(OSError):
                    await ahead.done()
        return Written(place, lines)

    def _following(self, place: Place, after: tuple[int | str | None, ...] | None) -> Place:
        change = msgspec.structs.replace
        if after is None:
            return change(place, number=place.number + 1, after=(), file=1, length=0, lines=0)
        if place.lines >= MOST_LINES or place.length >= LONGEST_FILE:
            return change(_next_file(place), after=after)
        return change(place, after=after)

    async def _read(self, place: Place) -> tuple[Sequence[bytes], tuple[int | str | None, ...] | None]:
        """Lines, and the place after them; None when the part is done."""
        resource_type, deletions = self.plan.part(place)
        if deletions:
            return await self._deletions(resource_type, place)
        criteria = self.plan.criteria_of(resource_type)
        if criteria:
            return await self._search(resource_type, criteria, place)
        after = int(place.after[0] or 0) if place.after else 0
        exports = self.server.store.exports
        rows = await exports.page(self._extent(resource_type), after, PAGE)
        if resource_type == "Binary":
            versions = await exports.versions([seq for seq, _ in rows])
            rows = [(one.seq, await complete_body(self.server, _READING, one)) for one in versions]
        lines = await self._chosen(resource_type, rows)
        return lines, (rows[-1][0],) if len(rows) == PAGE else None

    def _extent(self, resource_type: str) -> Extent:
        return Extent(resource_type, self.plan.snapshot, self.plan.first, self.plan.last)

    async def _chosen(self, resource_type: str, rows: Sequence[tuple[int, bytes]]) -> Sequence[bytes]:
        """The bodies of those that are anybody's who is exported, and of them what is wanted."""
        if rows and self.people.matter:
            owners = await self.server.store.exports.owners([seq for seq, _ in rows], self.plan.snapshot)
            rows = [(seq, body) for seq, body in rows if self.people.allow(owners.get(seq, ()))]
        bodies: Sequence[bytes] = [body for _, body in rows]
        if self.deidentifier is not None:
            bodies = await asyncio.to_thread(self._deidentified, bodies)
        if elements := self.plan.elements_of(resource_type):
            subset = Subset(elements=elements)
            bodies = [subset.of(bytes(body)) for body in bodies]
        return bodies

    def _deidentified(self, bodies: Sequence[bytes]) -> Sequence[bytes]:
        assert self.deidentifier is not None
        return [self.deidentifier.of(bytes(body)) for body in bodies]

    async def _search(
        self, resource_type: str, criteria: tuple[str, ...], place: Place
    ) -> tuple[Sequence[bytes], tuple[int | str | None, ...] | None]:
        if resource_type not in self._queries:
            self._queries[resource_type] = await self._query(resource_type, criteria)
        page = await self.server.store.search(ALL, replace(self._queries[resource_type], after=place.after or None))
        within = [one for one in page.matches if self.plan.first < one.seq <= self.plan.last]
        rows = [(one.seq, await complete_body(self.server, _READING, one)) for one in within]
        return await self._chosen(resource_type, rows), page.next_after

    async def _query(self, resource_type: str, criteria: Iterable[str]) -> Query:
        """What meets any of the criteria, in one walk: no resource is given twice."""
        settings, store = self.server.settings, self.server.store
        found = []
        for one in criteria:
            read = conditional_criteria(
                resource_type,
                one,
                base_url=self.plan.base_url,
                time_zone=settings.time_zone,
                registry=self.server.registry,
            )
            found.append(await read.query(StoreReader(store, ALL), self.server.terminology))
        predicates = found[0].predicates
        if len(found) > 1:
            predicates = (Or(tuple(And(query.predicates) for query in found)),)
        return replace(found[0], predicates=predicates, count=PAGE, snapshot=self.plan.snapshot)

    async def _deletions(
        self, resource_type: str, place: Place
    ) -> tuple[Sequence[bytes], tuple[int | str | None, ...] | None]:
        """A Bundle for each (Bulk Data Access, export.html, "deleted")."""
        after = int(place.after[0] or 0) if place.after else 0
        rows = await self.server.store.exports.deleted(self._extent(resource_type), after, PAGE)
        lines = [
            msgspec.json.encode(
                {
                    "resourceType": "Bundle",
                    "type": "transaction",
                    "entry": [{"request": {"method": "DELETE", "url": self._address(resource_type, logical_id)}}],
                }
            )
            for _, logical_id, version in rows
            if not self.people.matter or self.people.concern(await self._owners(resource_type, logical_id, version - 1))
        ]
        return lines, (rows[-1][0],) if len(rows) == PAGE else None

    def _address(self, resource_type: str, logical_id: str) -> str:
        if self.deidentifier is not None:
            logical_id = self.deidentifier.pseudonyms.of(resource_type, logical_id)
        return f"{resource_type}/{logical_id}"

    async def _owners(self, resource_type: str, logical_id: str, version_id: int) -> Sequence[int]:
        """In whose compartments a version was; its index may be gone."""
        version = await self.server.store.vread(ALL, resource_type, logical_id, version_id)
        if version is None or version.body is None:
            return ()
        resource = content_of(version)
        return extract(resource, self.server.settings.time_zone, self.server.registry).compartments


def _next_file(place: Place) -> Place:
    return msgspec.structs.replace(place, file=place.file + 1, length=0, lines=0)


class _Ahead:
    """A write that goes on in a thread."""

    def __init__(self) -> None:
        self._writing: asyncio.Future[int] | None = None

    def begin(self, write: Callable[[], int]) -> None:
        self._writing = asyncio.ensure_future(asyncio.to_thread(write))

    async def done(self) -> int:
        """Wait for it; the bytes written, 0 when there is none."""
        writing, self._writing = self._writing, None
        return 0 if writing is None else await writing


class _OpenFiles:
    """The files of one step."""

    def __init__(self, open_: Open, stack: ExitStack) -> None:
        self._open = open_
        self._stack = stack
        self._files: dict[str, tuple[Encoder, Sink]] = {}

    def add(self, name: str, length: int, lines: Sequence[bytes]) -> int:
        """As Encoder.add; `length`: where the file is written on, if it is not open."""
        if name not in self._files:
            sink = self._open(name, length)
            self._stack.callback(sink.close)
            self.keep()  # what has come to its end need not be held
            self._files[name] = (encoder(name, sink), sink)
        return self._files[name][0].add(lines)

    def keep(self) -> None:
        """No more lines come for the files open so far."""
        for encoding, sink in self._files.values():
            encoding.finish()
            sink.keep()
        self._files.clear()
