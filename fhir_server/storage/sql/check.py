"""`fhir-server check`: do index rows, counters and histories agree with the bodies?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fhir_server.storage.base import Inconsistency
from fhir_server.storage.rows import IndexRows
from fhir_server.storage.sql.codes import METHODS, TYPE_NAMES
from fhir_server.storage.sql.dialect import Session, positional
from fhir_server.storage.sql.predicates import PATIENT_COMPARTMENT, listing_parameter
from fhir_server.storage.sql.purge import unpack

PAGE = 500

CURRENT_PAGE = (
    "SELECT ver.seq, ver.type, ver.id, ver.body FROM version ver WHERE ver.seq > ?"
    f" AND ver.method < {METHODS.index('delete')} AND NOT EXISTS ("
    "SELECT 1 FROM version later WHERE later.rid = ver.rid AND later.version = ver.version + 1)"
    f" ORDER BY ver.seq LIMIT {PAGE}"
)


async def check(session: Session, extract: Callable[[bytes], IndexRows]) -> AsyncIterator[Inconsistency]:
    """Yield what disagrees. Reads page by page; a write between two pages may be seen by neither."""
    async for finding in _histories(session):
        yield finding
    counted: dict[int, int] = {}
    after = 0
    while rows := await session.fetch(positional(CURRENT_PAGE, session.postgresql), (after,)):
        for seq, type_number, logical_id, body in rows:
            counted[type_number] = counted.get(type_number, 0) + 1
            expected = extract(bytes(body))
            name = f"{TYPE_NAMES[type_number]}/{logical_id}"
            async for finding in _index(session, name, seq, TYPE_NAMES[type_number], expected):
                yield finding
        after = rows[-1][0]
    for finding in _counters(counted, await session.fetch("SELECT s.type, s.count FROM type_stat s", ())):
        yield finding


async def _histories(session: Session) -> AsyncIterator[Inconsistency]:
    """Versions of a resource are 1..n without a gap, and nothing lies beyond the clock."""
    gaps = (
        "SELECT ver.type, ver.id, ver.version FROM version ver WHERE ver.version > 1 AND NOT EXISTS ("
        "SELECT 1 FROM version e WHERE e.rid = ver.rid AND e.version = ver.version - 1)"
    )
    for type_number, logical_id, version_id in await session.fetch(gaps, ()):
        yield Inconsistency(f"{TYPE_NAMES[type_number]}/{logical_id}", "history", f"no version {version_id - 1}")
    ahead = "SELECT ver.type, ver.id FROM version ver WHERE ver.seq > (SELECT c.seq FROM clock c)"
    for type_number, logical_id in await session.fetch(ahead, ()):
        yield Inconsistency(f"{TYPE_NAMES[type_number]}/{logical_id}", "clock", "written after the clock's seq")
    orphans = "SELECT DISTINCT n.seq FROM number n WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.seq = n.seq)"
    for (seq,) in await session.fetch(orphans, ()):
        yield Inconsistency(f"seq {seq}", "index", "index rows of a version that does not exist")


async def _index(
    session: Session, name: str, seq: int, resource_type: str, expected: IndexRows
) -> AsyncIterator[Inconsistency]:
    own = {(listing_parameter(resource_type), 0, 0)}
    compartments = {(PATIENT_COMPARTMENT, v, 0) for v in expected.compartments}
    wanted: dict[str, tuple[str, set[tuple[Any, ...]]]] = {
        "number": ("p, v, w", own | compartments | set(expected.numbers)),
        "text": ("p, v, w", set(expected.texts)),
        "composite": ("p, a, b, c, t", set(expected.composites)),
    }
    for table, (columns, rows) in wanted.items():
        sql = positional(f"SELECT {columns} FROM {table} WHERE seq = ?", session.postgresql)
        stored = {tuple(row) for row in await session.fetch(sql, (seq,))}
        if stored != rows:
            detail = f"{len(rows - stored)} rows missing, {len(stored - rows)} too many in {table}"
            yield Inconsistency(name, "index", detail)
    sql = positional("SELECT items FROM feature WHERE seq = ?", session.postgresql)
    features = await session.fetch(sql, (seq,))
    items = features[0][0] if features else []
    if set(unpack(items) if isinstance(items, bytes) else items) != set(expected.features):
        yield Inconsistency(name, "index", "words and trigrams differ")


def _counters(counted: dict[int, int], stored: Sequence[Sequence[Any]]) -> list[Inconsistency]:
    kept = {row[0]: row[1] for row in stored}
    return [
        Inconsistency(TYPE_NAMES[number], "counter", f"counted {counted.get(number, 0)}, kept {kept.get(number, 0)}")
        for number in sorted(counted.keys() | kept.keys())
        if counted.get(number, 0) != kept.get(number, 0)
    ]
