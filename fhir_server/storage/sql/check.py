"""`fhir-server check`: do index rows, blobs, counters, the clock and the histories agree with the bodies?

The versions are walked in pages by seq. Whatever another table holds between the first and the last seq of a
page is compared with the page's versions: rows that belong to no version are found too, and no statement
grows with the database.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fhir_server.model.identity import rid
from fhir_server.model.instant import format_instant
from fhir_server.storage.base import Inconsistency
from fhir_server.storage.codes import FIRST_CONTAINED_TYPE, METHODS, TYPE_NAMES, TYPE_NUMBERS
from fhir_server.storage.contained import number_of
from fhir_server.storage.rows import NO_DATE, Contained, IndexRows
from fhir_server.storage.sql import parameters
from fhir_server.storage.sql.dialect import Session, Statement, positional
from fhir_server.storage.sql.predicates import PATIENT_COMPARTMENT, listing_parameter
from fhir_server.storage.sql.purge import unpack

PAGE = 500

VERSIONS = (
    "SELECT ver.seq, ver.rid, ver.type, ver.id, ver.version, ver.last_updated, ver.method, ver.body,"
    " (SELECT e.version FROM version e WHERE e.rid = ver.rid AND e.version = ver.version - 1),"
    " (SELECT l.seq FROM version l WHERE l.rid = ver.rid AND l.version > ver.version ORDER BY l.version LIMIT 1),"
    " (SELECT t.seq FROM tick t WHERE t.last_updated = ver.last_updated), ver.codec,"
    " (SELECT c.seq FROM clock c), (SELECT c.last_updated FROM clock c)"
    f" FROM version ver WHERE ver.seq > ? ORDER BY ver.seq LIMIT {PAGE}"
)
TABLES = {
    "number": "r.p, r.v, r.w, r.k",
    "text": "r.p, r.v, r.w, r.k",
    "composite": "r.p, r.a, r.b, r.c, r.t, r.k",
    "feature": "r.items",
    "superseded": "r.next_seq",
    "blob": "r.size",
    "blob_chunk": "r.n, length(r.content)",
}
LAST_SEQ = 2**63 - 1
POSTINGS = 10_000

_Rows = dict[str, list[tuple[Any, ...]]]
"""What the other tables hold of one version."""


class _Version(NamedTuple):
    seq: int
    rid: int
    type: int
    id: str
    version: int
    last_updated: int
    method: int
    body: bytes | None
    earlier: int | None
    """The version before, when it is there."""
    next_seq: int | None
    tick: int | None
    """The last seq written at this lastUpdated."""
    codec: int
    clock_seq: int
    clock_last_updated: int

    @property
    def deleted(self) -> bool:
        return METHODS[self.method] == "delete"

    @property
    def contained(self) -> bool:
        return self.type >= FIRST_CONTAINED_TYPE

    @property
    def name(self) -> str:
        return f"{TYPE_NAMES[self.type]}/{self.id}"


@dataclass(slots=True)
class _Seen:
    """What the versions walked so far add up to, and what is still to be looked up for a page."""

    counted: Counter[int] = field(default_factory=Counter)
    widest: Counter[int] = field(default_factory=Counter)
    tokens: dict[tuple[int, str, str], str] = field(default_factory=dict)
    """Each with a resource that has it."""
    features: list[tuple[_Version, list[int]]] = field(default_factory=list)
    unsettled: frozenset[int] = frozenset()
    """Numbers of the custom parameters whose rows are being added or removed: they may be there or not."""
    contained: deque[Contained] = field(default_factory=deque)
    """What the last container contains, as far as it was not walked yet."""


async def check(session: Session, extract: Callable[[bytes], IndexRows]) -> AsyncIterator[Inconsistency]:
    """Yield what disagrees. Reads page by page; a write between two pages may be seen by neither."""
    known = await parameters.read(session)
    seen = _Seen(unsettled=frozenset(one.number for one in known.parameters if one.state != "complete"))
    after = 0
    while after < LAST_SEQ:
        page = [_Version(*row) for row in await session.fetch(positional(VERSIONS, session.postgresql), (after,))]
        last = page[-1].seq if page else LAST_SEQ
        stored = await _stored(session, after, last)
        for version in page:
            for finding in _version(version, stored.pop(version.seq, {}), extract, seen):
                yield finding
        for seq, rows in stored.items():
            yield Inconsistency(f"seq {seq}", "orphan", f"rows of a version that does not exist in {', '.join(rows)}")
        for finding in (*await _tokens(session, seen), *await _postings(session, seen)):
            yield finding
        after = last
    for finding in await _orphan_postings(session):
        yield finding
    kept = await session.fetch("SELECT s.type, s.count, s.widest FROM type_stat s", ())
    for finding in _counters(seen, kept):
        yield finding


async def _stored(session: Session, after: int, last: int) -> dict[int, _Rows]:
    stored: dict[int, _Rows] = defaultdict(lambda: defaultdict(list))
    for table, columns in TABLES.items():
        sql = f"SELECT r.seq, {columns} FROM {table} r WHERE r.seq > ? AND r.seq <= ?"
        for seq, *values in await session.fetch(positional(sql, session.postgresql), (after, last)):
            stored[seq][table].append(tuple(values))
    return stored


def _version(
    version: _Version, rows: _Rows, extract: Callable[[bytes], IndexRows], seen: _Seen
) -> Iterator[Inconsistency]:
    if version.contained:
        yield from _contained(version, rows, seen)
        return
    seen.counted[version.type] += version.next_seq is None and not version.deleted
    if seen.contained:
        yield Inconsistency(version.name, "contained", f"{seen.contained[0].logical_id} is not indexed")
    seen.contained.clear()
    yield from _history(version)
    yield from _superseded(version, rows)
    yield from _blob(version, rows)
    expected = _expected(version, rows, extract)
    if expected is None:
        yield Inconsistency(version.name, "body", f"version {version.version} cannot be read or is another")
        return
    seen.contained.extend(expected.contained)
    yield from _indexed(version, rows, expected, seen)


def _contained(version: _Version, rows: _Rows, seen: _Seen) -> Iterator[Inconsistency]:
    """What is contained follows its container in the order of its elements, body and rows made from it."""
    expected = seen.contained.popleft() if seen.contained else None
    same = expected is not None and (version.type, version.id, bytes(version.body or b"")) == (
        TYPE_NUMBERS[expected.resource_type],
        expected.logical_id,
        expected.body,
    )
    if expected is None or not same:
        yield Inconsistency(version.name, "contained", "not what its container contains")
    else:
        yield from _indexed(version, rows, expected.rows, seen)


def _indexed(version: _Version, rows: _Rows, expected: IndexRows, seen: _Seen) -> Iterator[Inconsistency]:
    yield from _index(version, rows, expected, seen.unsettled)
    seen.tokens |= dict.fromkeys(expected.tokens, version.name)
    if not seen.unsettled:
        seen.features.append((version, expected.features))
    if expected.k != NO_DATE:
        seen.widest[version.type] = max(seen.widest[version.type], expected.width)


def _history(version: _Version) -> Iterator[Inconsistency]:
    """Versions of a resource are 1..n without a gap, and nothing lies beyond the clock."""
    if version.rid != rid(TYPE_NAMES[version.type], version.id):
        yield Inconsistency(version.name, "history", "rid is not that of type and id")
    if version.version > 1 and version.earlier is None:
        yield Inconsistency(version.name, "history", f"no version {version.version - 1}")
    if version.next_seq is not None and version.next_seq < version.seq:
        yield Inconsistency(version.name, "history", f"version {version.version} was written after the next")
    if version.seq > version.clock_seq or version.last_updated > version.clock_last_updated:
        yield Inconsistency(version.name, "clock", "written after the clock's seq or time")
    if version.tick is None or version.tick < version.seq:
        yield Inconsistency(version.name, "clock", f"no tick for the time of version {version.version}")


def _superseded(version: _Version, rows: _Rows) -> Iterator[Inconsistency]:
    """A replaced version with index rows is in `superseded`, with what replaced it; a newest one is not."""
    replaced_by = [row[0] for row in rows.get("superseded", [])]
    if replaced_by and replaced_by != [version.next_seq]:
        yield Inconsistency(version.name, "superseded", f"version {version.version} was not replaced by that seq")
    if not replaced_by and version.next_seq is not None and any(rows.get(table) for table in ("number", "text")):
        yield Inconsistency(version.name, "superseded", f"version {version.version} was replaced and is still found")


def _blob(version: _Version, rows: _Rows) -> Iterator[Inconsistency]:
    sizes = [row[0] for row in rows.get("blob", [])]
    chunks = sorted(rows.get("blob_chunk", []))
    whole = [n for n, _ in chunks] == list(range(len(chunks))) and sum(size for _, size in chunks) == sum(sizes)
    if len(sizes) != version.codec or not whole:
        yield Inconsistency(version.name, "blob", f"data of version {version.version} is not whole")


def _expected(version: _Version, rows: _Rows, extract: Callable[[bytes], IndexRows]) -> IndexRows | None:
    """What should be indexed of the version; None when its body is not the one written."""
    if version.deleted:
        return IndexRows()
    body = bytes(version.body or b"")
    if b'"versionId":"%d","lastUpdated":"%s"' % (version.version, format_instant(version.last_updated)) not in body:
        return None
    try:
        expected = extract(body)
    except Exception:  # nobody knows what a damaged body does to `extract`
        return None
    vacuumed = version.next_seq is not None and not rows.get("superseded")
    return IndexRows() if vacuumed else expected


def _index(version: _Version, rows: _Rows, expected: IndexRows, unsettled: frozenset[int]) -> Iterator[Inconsistency]:
    own = [(PATIENT_COMPARTMENT, v, 0) for v in expected.compartments]
    if version.contained or (not version.deleted and (version.next_seq is None or rows.get("superseded"))):
        own.append((listing_parameter(TYPE_NAMES[version.type]), 0, 0))
    wanted: dict[str, Sequence[tuple[Any, ...]]] = {
        "number": own + expected.numbers,
        "text": expected.texts,
        "composite": expected.composites,
    }
    for table, values in wanted.items():
        stored = Counter(row for row in rows.get(table, []) if number_of(row[0]) not in unsettled)
        should = Counter((*row, expected.k) for row in values if number_of(row[0]) not in unsettled)
        if stored != should:
            detail = f"{(should - stored).total()} rows missing, {(stored - should).total()} too many in {table}"
            yield Inconsistency(version.name, "index", detail)
    items = [item for (items,) in rows.get("feature", []) for item in _unpacked(items)]
    if not unsettled and sorted(items) != sorted(expected.features):
        yield Inconsistency(version.name, "index", "words and trigrams differ")


def _unpacked(items: Any) -> Sequence[int]:
    return unpack(items) if isinstance(items, bytes) else items


async def _tokens(session: Session, seen: _Seen) -> list[Inconsistency]:
    """A token that the dictionary lacks is not found by its code alone."""
    wanted, seen.tokens = seen.tokens, {}
    if not wanted:
        return []
    statement = Statement(session.postgresql)
    where = statement.one_of("t.v", sorted({v for v, _, _ in wanted}))
    rows = await session.fetch(f"SELECT t.v, t.system, t.code FROM token t WHERE {where}", statement.parameters)
    names = sorted(wanted[token] for token in wanted.keys() - {tuple(row) for row in rows})
    return [Inconsistency(name, "token", "a code is missing in token") for name in names]


async def _postings(session: Session, seen: _Seen) -> list[Inconsistency]:
    """SQLite's inverted form has every feature of the versions."""
    wanted, seen.features = seen.features, []
    if session.postgresql:
        return []
    findings = []
    sql = "SELECT count(*) FROM json_each(?) j JOIN posting p ON p.v = j.value AND p.seq = ?"
    for version, features in wanted:
        counted = await session.fetch(sql, (json.dumps(features), version.seq)) if features else [[0]]
        if counted[0][0] < len(features):
            findings.append(Inconsistency(version.name, "index", "words and trigrams are missing in posting"))
    return findings


async def _orphan_postings(session: Session) -> list[Inconsistency]:
    if session.postgresql:
        return []
    page = f"SELECT p.v, p.seq FROM posting p WHERE (p.v, p.seq) > (?, ?) ORDER BY p.v, p.seq LIMIT {POSTINGS}"
    sql = f"SELECT x.v, x.seq, (SELECT 1 FROM feature f WHERE f.seq = x.seq) FROM ({page}) x ORDER BY x.v, x.seq"
    after: tuple[int, ...] = (-(2**63), 0)
    orphans = set()
    while rows := await session.fetch(sql, after):
        orphans |= {seq for _, seq, there in rows if there is None}
        after = tuple(rows[-1][:2])
    return [Inconsistency(f"seq {seq}", "orphan", "rows in posting without one in feature") for seq in sorted(orphans)]


def _counters(seen: _Seen, stored: Sequence[Sequence[Any]]) -> Iterator[Inconsistency]:
    kept = {number: (count, widest) for number, count, widest in stored}
    for number in sorted(seen.counted.keys() | kept.keys()):
        count, widest = kept.get(number, (0, 0))
        if seen.counted[number] != count and number < FIRST_CONTAINED_TYPE:
            yield Inconsistency(TYPE_NAMES[number], "counter", f"counted {seen.counted[number]}, kept {count}")
        if seen.widest[number] > widest:
            yield Inconsistency(TYPE_NAMES[number], "counter", "a date is longer than the longest kept")
