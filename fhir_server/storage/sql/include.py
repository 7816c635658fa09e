"""What the matches of a page include: one statement per level for all of them, as of the page's snapshot.

A level is what the one below refers to, or is referred to by, and was not found before. Within a level the newest
version comes first, so that the rest of a level too large for one answer is found by its seq.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fhir_server.model.identity import rid
from fhir_server.storage import query as q
from fhir_server.storage.base import Included, StoredVersion
from fhir_server.storage.codes import FIRST_CONTAINED_TYPE, METHODS, TYPE_NAMES, TYPE_NUMBERS
from fhir_server.storage.scope import Scope
from fhir_server.storage.sql.conditions import Outer, condition
from fhir_server.storage.sql.dialect import Session, Statement
from fhir_server.storage.sql.plan import VERSION_COLUMNS
from fhir_server.storage.sql.reads import all_stored
from fhir_server.storage.sql.resolve import Resolver

MOST_LEVELS = 10
"""Includes that iterate are followed this deep (R4 search.html#include leaves it to the server)."""
LARGEST_LEVEL = 10_000
"""A level with more resources is the last: what these include is not looked up."""


class _Found(NamedTuple):
    seq: int
    rid: int
    resource_type: str


async def included(session: Session, scope: Scope, query: q.IncludeQuery, matches: Sequence[StoredVersion]) -> Included:
    """The next `query.count` resources that `matches` include."""
    frontier = [_Found(one.seq, rid(one.resource_type, one.logical_id), one.resource_type) for one in matches]
    walk = await _Walk.of(session, scope, query, frontier)
    while frontier and walk.level < MOST_LEVELS and walk.following is None and not walk.cut:
        inclusions = [one for one in query.inclusions if one.iterate or walk.level == 0]
        if not inclusions:
            break
        frontier = await walk.next_level(inclusions, frontier)
    cut = walk.cut or (walk.level == MOST_LEVELS and bool(frontier))
    return Included(await _bodies(session, walk.shown), walk.following, cut)


class _Walk:
    """The levels so far: what was found, and what of it belongs to this answer."""

    def __init__(
        self, session: Session, query: q.IncludeQuery, scope: tuple[q.Predicate, ...], stored: frozenset[str]
    ) -> None:
        self._session = session
        self._query = query
        self._scope = scope
        self._stored = stored
        self._first_level = query.after[0] if query.after else 0
        self._before = query.after[1] if query.after else None
        self._iterates = any(one.iterate for one in query.inclusions)
        self.level = 0
        self.seen: set[int] = set()
        self.shown: list[_Found] = []
        self.following: tuple[int, int] | None = None
        self.cut = False

    @classmethod
    async def of(cls, session: Session, scope: Scope, query: q.IncludeQuery, matches: Iterable[_Found]) -> _Walk:
        resolver = Resolver(session, query.snapshot, scope.predicates)
        predicates = await resolver.predicates(scope.predicates)
        rows = await session.fetch("SELECT s.type FROM type_stat s", ())
        walk = cls(session, query, predicates, frozenset(TYPE_NAMES[row[0]] for row in rows))
        walk.seen = {one.rid for one in matches}
        return walk

    async def next_level(self, inclusions: Sequence[q.Inclusion], frontier: Sequence[_Found]) -> list[_Found]:
        """What is new in the level above `frontier`; the part of it for this answer goes to `shown`."""
        before = self._before if self.level == self._first_level else None
        room = self._query.count - len(self.shown)
        found: list[_Found] | None = None
        if self._iterates:
            found = await self._fetch(inclusions, frontier, None, LARGEST_LEVEL + 1)
            if len(found) > LARGEST_LEVEL:
                self.cut, found = True, None
        if found is None:
            found = await self._fetch(inclusions, frontier, before, room + 1 + len(self.seen))
        new = [one for one in found if one.rid not in self.seen]
        if self.level >= self._first_level:
            self._show([one for one in new if before is None or one.seq < before], room)
        self.seen.update(one.rid for one in new)
        self.level += 1
        return new

    def _show(self, new: Sequence[_Found], room: int) -> None:
        self.shown += new[:room]
        if len(new) > room:
            self.following = (self.level, new[room].seq + 1)

    async def _fetch(
        self, inclusions: Sequence[q.Inclusion], frontier: Sequence[_Found], before: int | None, limit: int
    ) -> list[_Found]:
        statement = Statement(self._session.postgresql, self._query.snapshot)
        parts = _parts(inclusions, frontier, self._stored, statement)
        if not parts:
            return []
        where = f"ver.type < {FIRST_CONTAINED_TYPE} AND ver.method <> {METHODS.index('delete')}"
        if before is not None:
            where += f" AND ver.seq < {statement.bind(before)}"
        for predicate in self._scope:
            where += f" AND {condition(predicate, statement, '', Outer('ver', dated=False))}"
        sql = (
            f"SELECT ver.seq, ver.rid, ver.type FROM ({' UNION '.join(parts)}) f"
            f" JOIN version ver ON ver.seq = f.seq WHERE {where} ORDER BY ver.seq DESC LIMIT {limit}"
        )
        rows = await self._session.fetch(*statement.finished(sql))
        return [_Found(seq, key, TYPE_NAMES[number]) for seq, key, number in rows]


def _parts(
    inclusions: Sequence[q.Inclusion], frontier: Sequence[_Found], stored: frozenset[str], statement: Statement
) -> list[str]:
    """SELECTs of the seqs that the inclusions lead to from `frontier`."""
    parts = []
    backward: dict[tuple[str, ...], list[int]] = {}
    for one in inclusions:
        if one.source_type not in stored:
            continue
        if one.reverse:
            backward.setdefault(one.target_types, []).extend(one.ps)
            ends = [found.seq for found in frontier if found.resource_type in (one.target_types or stored)]
            if ends and one.canonicals:
                parts.append(_referring_by_url(ends, one, statement))
            continue
        seqs = [found.seq for found in frontier if found.resource_type == one.source_type]
        if seqs and one.ps:
            parts.append(_referred_to(seqs, one, statement))
        if seqs and one.canonicals and one.urls:
            parts.append(_referred_to_by_url(seqs, one, statement))
    for targets, ps in backward.items():
        rids = [found.rid for found in frontier if not targets or found.resource_type in targets]
        if rids and ps:
            parts.append(_referring(rids, list(dict.fromkeys(ps)), statement))
    return parts


def _referred_to(seqs: list[int], one: q.Inclusion, statement: Statement) -> str:
    """The versions, at the snapshot, of what the versions `seqs` refer to."""
    rows = _rows_of(seqs, "number", one.ps, statement)
    if one.target_types:
        numbers = [TYPE_NUMBERS[name] for name in one.target_types]
        rows += f" AND {statement.one_of('m.w', numbers)}"
    newest = (
        f"SELECT x.seq FROM version x WHERE x.rid = t.v AND x.seq <= {statement.bind(statement.snapshot)}"
        " ORDER BY x.version DESC LIMIT 1"
    )
    return f"SELECT ({newest}) AS seq FROM (SELECT DISTINCT m.v {rows}) t"


def _referred_to_by_url(seqs: list[int], one: q.Inclusion, statement: Statement) -> str:
    rows = _rows_of(seqs, "text", one.canonicals, statement)
    urls = statement.one_of("u.p", one.urls, "int")
    return (
        f"SELECT u.seq FROM (SELECT DISTINCT m.v, m.w {rows}) t {_joined('text u', statement)}"
        f" ON {urls} AND u.v = t.v AND (t.w = 0 OR t.w = u.w) WHERE {statement.visible('u')}"
    )


def _referring(rids: list[int], ps: list[int], statement: Statement) -> str:
    """The versions that refer to the resources."""
    keys = _keys(rids, statement)
    wanted = statement.one_of("r.p", ps, "int")
    if statement.postgresql:
        rows = f"{keys} CROSS JOIN LATERAL (SELECT r.seq FROM number r WHERE {wanted} AND r.v = f.value OFFSET 0) m"
        return f"SELECT m.seq FROM {rows} WHERE {statement.visible('m')}"
    return f"SELECT r.seq FROM {keys} CROSS JOIN number r ON {wanted} AND r.v = f.value WHERE {statement.visible('r')}"


def _referring_by_url(seqs: list[int], one: q.Inclusion, statement: Statement) -> str:
    rows = _rows_of(seqs, "text", one.urls, statement)
    wanted = statement.one_of("u.p", one.canonicals, "int")
    return (
        f"SELECT u.seq FROM (SELECT DISTINCT m.v, m.w {rows}) t {_joined('text u', statement)}"
        f" ON {wanted} AND u.v = t.v AND (u.w = 0 OR u.w = t.w) WHERE {statement.visible('u')}"
    )


def _joined(table: str, statement: Statement) -> str:
    """A join that SQLite, too, starts on its left."""
    return f"{'JOIN' if statement.postgresql else 'CROSS JOIN'} {table}"


def _keys(values: list[int], statement: Statement) -> str:
    """`values` as rows f (value)."""
    if statement.postgresql:
        return f"unnest({statement.bind(values)}::bigint[]) f (value)"
    return f"json_each({statement.bind('[' + ','.join(map(str, values)) + ']')}) f"


def _rows_of(seqs: list[int], table: str, ps: Sequence[int], statement: Statement) -> str:
    """FROM and WHERE of the index rows m of the versions, by seq (dialect.Statement.version_rows says why)."""
    keys = _keys(seqs, statement)
    wanted = statement.one_of("m.p", ps, "int")
    if statement.postgresql:
        rows = f"SELECT r.seq, r.p, r.v, r.w FROM {table} r WHERE r.seq = f.value OFFSET 0"
        return f"FROM {keys} CROSS JOIN LATERAL ({rows}) m WHERE {wanted}"
    return f"FROM {keys} CROSS JOIN {table} m ON m.seq = f.value AND {wanted} WHERE 1"


async def _bodies(session: Session, found: Sequence[_Found]) -> list[StoredVersion]:
    """The versions with their bodies, in the order of `found`."""
    if not found:
        return []
    statement = Statement(session.postgresql)
    where = statement.one_of("ver.seq", [one.seq for one in found])
    sql = f"SELECT {VERSION_COLUMNS} FROM version ver WHERE {where}"
    rows = {row[0]: row for row in await session.fetch(*statement.finished(sql))}
    return await all_stored(session, [rows[one.seq] for one in found])
