"""Patient $everything: one patient's whole record in one Bundle, or in pages.

R4 patient-operation-everything.html. The Patient comes first, then its compartment type by type, then what those
refer to; each resource once, all as of one snapshot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial

from fhir_server import spec
from fhir_server.errors import InvalidSearch
from fhir_server.interactions.answer import present
from fhir_server.interactions.bundle import links
from fhir_server.interactions.exchange import Response
from fhir_server.model.dates import period_of
from fhir_server.model.identity import hash64, rid
from fhir_server.model.instant import parse_instant
from fhir_server.operations.patient_record import OF_PATIENTS, PatientRecord, Referenced, compartment_types
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.searchset import Found, searchset
from fhir_server.search import page
from fhir_server.search.primary import primary_date
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.query import Exists, IdIn, LastUpdatedRange, Not, Or, PeriodRange, Predicate, Query

CURSOR_KIND = "everything"
CURSOR_KEY = "cursor"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page starts: in a type of the compartment, or (None) after `skip` referenced resources."""

    snapshot: int
    resource_type: str | None
    """Empty: the first."""
    after: tuple[int | str | None, ...] | None = None
    skip: int = 0


@dataclass(slots=True)
class Selection:
    """The resources that one call asks for."""

    record: PatientRecord
    referenced: Referenced
    since: int | None
    """Only resources last updated at or after this time (microseconds)."""

    def _wanted(self, version: StoredVersion) -> bool:
        return self.since is None or version.last_updated >= self.since

    async def everything(self) -> AsyncIterator[Found]:
        # Resources older than `since` are walked too: what they refer to may be newer.
        async for version in self.record.members():
            self.referenced.note(version.body or b"")
            if self._wanted(version):
                yield version, "match"
        async for version in self.referenced.follow():
            if self._wanted(version):
                yield version, "include"

    async def page(self, position: Position, count: int) -> tuple[list[Found], Position | None]:
        """`count` resources from `position` on, and where the next page starts."""
        found, following = await self._matches(position, count)
        if following.resource_type is not None:
            return found, following
        return await self._included(found, following, count)

    async def _matches(self, position: Position, count: int) -> tuple[list[Found], Position]:
        found: list[Found] = []
        types, after = self.record.types, position.after
        start = len(types)
        if position.resource_type is not None:
            start = types.index(position.resource_type) if position.resource_type else 0
        changed: tuple[Predicate, ...] = () if self.since is None else (LastUpdatedRange(low=self.since),)
        for index in range(start, len(types)):
            matching = await self.record.page(types[index], count - len(found), after, *changed)
            found += ((version, "match") for version in matching.matches)
            if matching.next_after is not None:
                return found, replace(position, resource_type=types[index], after=matching.next_after)
            after = None
            if len(found) == count and index + 1 < len(types):
                return found, replace(position, resource_type=types[index + 1], after=None)
        return found, replace(position, resource_type=None, after=None)

    async def _included(
        self, found: list[Found], position: Position, count: int
    ) -> tuple[list[Found], Position | None]:
        """Fill the page with referenced resources: found anew for each page, which keeps no state between them."""
        async for version in self.record.members():
            self.referenced.note(version.body or b"")
        passed = 0
        async for version in self.referenced.follow():
            if not self._wanted(version):
                continue
            if passed >= position.skip:
                if len(found) == count:
                    return found, replace(position, skip=passed)
                found.append((version, "include"))
            passed += 1
        return found, None


async def everything(call: OperationRequest) -> Response:
    """One Bundle, or with `_count` a page of it.

    Raises ResourceNotFound, ResourceGone; InvalidSearch for a parameter that cannot be used.
    """
    count = _count(call)
    position = await _start(call)
    selection = await _selection(call, position.snapshot)
    if count is None:
        whole = await searchset(call.server, call.request, selection.everything(), _links(call, None), total=True)
        return Response(200, whole)
    entries, following = await selection.page(position, count)
    page_links = _links(call, await _sealed(call, following) if following else None)
    return Response(200, await searchset(call.server, call.request, _each(entries), page_links, total=False))


async def _each(entries: list[Found]) -> AsyncIterator[Found]:
    for entry in entries:
        yield entry


async def _start(call: OperationRequest) -> Position:
    """Where the cursor says, else the patient at this moment. Raises ResourceNotFound, ResourceGone."""
    store = call.server.store
    cursor = call.one(page.CURSOR_PARAMETER)
    if cursor is not None:
        return await _opened(call, cursor)
    _, logical_id = call.target
    found = await store.search(call.scope, Query("Patient", (IdIn((rid("Patient", logical_id),)),), count=1))
    if not found.matches:
        present(await store.read(call.scope, "Patient", logical_id), "Patient", logical_id)
    return Position(found.snapshot, "")


async def _opened(call: OperationRequest, text: str) -> Position:
    key = await call.server.store.secret(CURSOR_KEY)
    cursor = page.decode(key, text, kind=CURSOR_KIND, query=_identity(call))
    assert cursor.after is not None
    resource_type, skip, *after = cursor.after
    assert not isinstance(resource_type, int)
    assert isinstance(skip, int)
    return Position(cursor.snapshot, resource_type, tuple(after) or None, skip)


async def _sealed(call: OperationRequest, position: Position) -> str:
    key = await call.server.store.secret(CURSOR_KEY)
    after = (position.resource_type, position.skip, *(position.after or ()))
    return page.encode(key, page.Cursor(position.snapshot, after), kind=CURSOR_KIND, query=_identity(call))


def _identity(call: OperationRequest) -> int:
    """What the pages are pages of: the patient and the parameters, apart from the page's size."""
    given = sorted(
        (name, values) for name, values in call.parameters.items() if name not in (page.CURSOR_PARAMETER, "_count")
    )
    return hash64(repr((call.target, given)).encode())


async def _selection(call: OperationRequest, snapshot: int) -> Selection:
    search = partial(call.server.store.search, call.scope)
    selected = _types(call)
    # Also types of which all is deleted by now: a later page shows what was there at the first.
    held = set(await call.server.store.counts(call.scope))
    wanted = held & selected if selected else held
    types = compartment_types(wanted)
    record = PatientRecord(search, call.target[1], types, _care_dates(call, types), snapshot)
    return Selection(record, Referenced(search, frozenset(wanted - OF_PATIENTS), snapshot), _since(call))


def _count(call: OperationRequest) -> int | None:
    count = call.one("_count")
    if count is not None and count < 1:
        raise InvalidSearch("_count must be at least 1; leave it out for the whole record in one Bundle.")
    return None if count is None else min(int(count), call.server.settings.max_count)


def _types(call: OperationRequest) -> frozenset[str]:
    """The types of `_type`; none means all."""
    names = frozenset(name.strip() for value in call.many("_type") for name in value.split(","))
    unknown = names - spec.RESOURCE_TYPES
    if unknown:
        raise InvalidSearch(f"_type names no resource type of R4: {', '.join(sorted(unknown))}.")
    return names


def _care_dates(call: OperationRequest, types: tuple[str, ...]) -> dict[str, tuple[Predicate, ...]]:
    """`start` and `end` as predicates on each type's primary date; a resource without one is always in."""
    start, end = _period(call, "start"), _period(call, "end")
    if start is None and end is None:
        return {}
    if start is not None and end is not None and end[1] < start[0]:
        raise InvalidSearch("Parameter end is before start.")
    low, high = start[0] if start else None, end[1] if end else None
    narrowed: dict[str, tuple[Predicate, ...]] = {}
    for name in types:
        p = primary_date(name)
        if p is not None and name != "Patient":
            overlapping = PeriodRange(p, start_high=high, end_low=low, primary=True)
            narrowed[name] = (Or((overlapping, Not(Exists((p,))))),)
    return narrowed


def _since(call: OperationRequest) -> int | None:
    """Microseconds."""
    value = call.one("_since")
    if value is None:
        return None
    instant = parse_instant(value)
    if instant is None:
        raise InvalidSearch(f"Parameter _since is no instant: {value[:40]}.")
    return instant


def _period(call: OperationRequest, name: str) -> tuple[int, int] | None:
    """First and last millisecond of a date given."""
    value = call.one(name)
    if value is None:
        return None
    period = period_of(value, call.server.settings.time_zone)
    if period is None:
        raise InvalidSearch(f"Parameter {name} is no date of the calendar: {value[:40]}.")
    return period


def _links(call: OperationRequest, following: str | None) -> list[dict[str, str]]:
    """This call as a GET, and the next page."""
    given = tuple(
        (name, str(value))
        for name, values in call.parameters.items()
        for value in values
        if name != page.CURSOR_PARAMETER
    )
    current = next((str(value) for value in call.parameters.get(page.CURSOR_PARAMETER, ())), None)
    return links(call.request, f"Patient/{call.target[1]}/$everything", given, following, current)
