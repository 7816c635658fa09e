"""Reads shared by both engines: current version, version, history, search, counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.errors import ResourceGone
from fhir_server.model.identity import rid
from fhir_server.storage import query as q
from fhir_server.storage.base import Blob, HistoryPage, SearchPage, StoredVersion
from fhir_server.storage.codes import FIRST_CONTAINED_TYPE, METHODS, TYPE_NAMES, TYPE_NUMBERS
from fhir_server.storage.contained import MARK
from fhir_server.storage.scope import Scope
from fhir_server.storage.sql.conditions import UNDATED, condition
from fhir_server.storage.sql.dialect import Session, Statement, positional
from fhir_server.storage.sql.driver import Counted, choose_driver, counting_driver
from fhir_server.storage.sql.plan import VERSION_COLUMNS, Plan
from fhir_server.storage.sql.predicates import last_updated_bounds
from fhir_server.storage.sql.resolve import Resolver, stored_types
from fhir_server.storage.sql.union import UnionPlan

CURRENT = f"SELECT {VERSION_COLUMNS} FROM version ver WHERE ver.rid = ? ORDER BY ver.version DESC LIMIT 1"
VREAD = f"SELECT {VERSION_COLUMNS} FROM version ver WHERE ver.rid = ? AND ver.version = ?"
BLOB = "SELECT b.position, b.size, b.content_type FROM blob b WHERE b.seq = ?"
CHUNK = "SELECT c.content FROM blob_chunk c WHERE c.seq = ? AND c.n = ?"
COUNTS = f"SELECT s.type, s.count FROM type_stat s WHERE s.type < {FIRST_CONTAINED_TYPE}"

WITH_BLOB = 1
"""version.codec of a body whose data is in `blob_chunk`."""

Row = Sequence[Any]


async def stored(session: Session, row: Row) -> StoredVersion:
    """A row of VERSION_COLUMNS as a StoredVersion, with its blob's facts when it has one."""
    return (await all_stored(session, (row,)))[0]


async def all_stored(session: Session, rows: Sequence[Row]) -> list[StoredVersion]:
    found = []
    for row in rows:
        seq, type_number, logical_id, version_id, last_updated, method, codec, body = row[:8]
        blob = None
        if codec == WITH_BLOB:
            facts = await session.fetch(positional(BLOB, session.postgresql), (seq,))
            blob = Blob(*facts[0])
        found.append(
            StoredVersion(
                TYPE_NAMES[type_number], logical_id, version_id, last_updated, METHODS[method], seq, body, blob
            )
        )
    return found


async def current(session: Session, resource_type: str, logical_id: str) -> StoredVersion | None:
    """The newest version, a deletion too."""
    rows = await session.fetch(positional(CURRENT, session.postgresql), (rid(resource_type, logical_id),))
    return await _of(session, rows, resource_type, logical_id)


async def vread(session: Session, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None:
    parameters = (rid(resource_type, logical_id), version_id)
    rows = await session.fetch(positional(VREAD, session.postgresql), parameters)
    return await _of(session, rows, resource_type, logical_id)


async def _of(session: Session, rows: Sequence[Row], resource_type: str, logical_id: str) -> StoredVersion | None:
    """The row, unless its 64-bit identity is another resource's (docs/decisions/0003)."""
    if not rows or rows[0][2] != logical_id or rows[0][1] != TYPE_NUMBERS[resource_type]:
        return None
    return await stored(session, rows[0])


Planned = Callable[[Sequence[Plan]], None]
"""Is told how a page is planned."""


def _unobserved(plans: Sequence[Plan]) -> None:
    """Nobody asked."""


async def search(session: Session, scope: Scope, query: q.Query, planned: Planned = _unobserved) -> SearchPage:
    """One page; refuses a snapshot older than the retention horizon with `ResourceGone`."""
    resolver = Resolver(session, query.snapshot, scope.predicates)
    query = replace(query, predicates=await resolver.predicates((*query.predicates, *scope.predicates)))
    if query.snapshot is not None:
        await check_floor(session, query.snapshot)
    total, counted = await _total(session, query) if query.total else (None, ())
    if query.count == 0:
        return SearchPage([], await _snapshot(session, query), total)
    plan = Plan(query, await choose_driver(session, query, counted), session.postgresql)
    planned([plan])
    return await _page(session, query, await session.fetch(*plan.page()), total)


async def search_all(
    session: Session, scope: Scope, queries: Sequence[q.Query], planned: Planned = _unobserved
) -> SearchPage:
    """One page of what several queries, of a type each, find together: newest version first if they have no order."""
    first = queries[0]
    if first.snapshot is not None:
        await check_floor(session, first.snapshot)
    known = await stored_types(session)
    resolver = Resolver(session, first.snapshot, scope.predicates)
    resolved = [
        replace(
            query,
            predicates=await resolver.predicates((*query.predicates, *scope.predicates)),
            sort=query.sort or q.BY_LAST_UPDATED,
        )
        for query in queries
        if query.resource_type in known
    ]
    total = sum([(await _total(session, query))[0] for query in resolved]) if first.total else None
    if not resolved or first.count == 0:
        return SearchPage([], await _snapshot(session, first), total)
    plans = [Plan(query, await choose_driver(session, query), session.postgresql, merged=True) for query in resolved]
    planned(plans)
    return await _page(session, first, await session.fetch(*UnionPlan(plans, session.postgresql).page()), total)


async def _page(session: Session, query: q.Query, rows: Sequence[Row], total: int | None) -> SearchPage:
    """The page whose rows, and one more if there is one, are `rows`; they came in the opposite order if backward."""
    more = len(rows) > query.count
    rows = rows[: query.count]
    if query.backward:
        rows = rows[::-1]
    matches = await all_stored(session, rows)
    snapshot = query.snapshot or (rows[0][8] if rows else await _snapshot(session, query))
    first, last = (tuple(rows[0][9:]), tuple(rows[-1][9:])) if rows else (None, None)
    has_next, has_previous = (True, more) if query.backward else (more, query.after is not None)
    return SearchPage(matches, snapshot, total, last if has_next else None, first if has_previous else None)


async def _snapshot(session: Session, query: q.Query) -> int:
    if query.snapshot is not None:
        return query.snapshot
    rows = await session.fetch("SELECT c.seq FROM clock c", ())
    return int(rows[0][0])


async def _total(session: Session, query: q.Query) -> tuple[int, Sequence[Counted]]:
    """Matches in all; of a whole type as it is now, the counter that every write keeps. Also what was counted for it,
    which the page need not count again."""
    if not query.predicates and query.snapshot is None and not query.resource_type.startswith(MARK):
        sql = positional("SELECT s.count FROM type_stat s WHERE s.type = ?", session.postgresql)
        counted = await session.fetch(sql, (TYPE_NUMBERS[query.resource_type],))
        return int(counted[0][0]) if counted else 0, ()
    driver, rows = await counting_driver(session, query)
    plan = Plan(query, driver, session.postgresql)
    counted = await session.fetch(*plan.total())
    return int(counted[0][0]), rows


async def check_floor(session: Session, snapshot: int) -> None:
    """Raises ResourceGone when index rows of the snapshot may have been cleared."""
    rows = await session.fetch("SELECT c.floor FROM clock c", ())
    if snapshot < rows[0][0]:
        raise ResourceGone(
            "This page's snapshot is older than the server keeps; start the search again.", code="expired"
        )


async def counts(session: Session, scope: Scope) -> dict[str, int]:
    counted = {TYPE_NAMES[number]: count for number, count in await session.fetch(COUNTS, ())}
    if scope.predicates:
        pages = {name: await search(session, scope, q.Query(name, count=0, total=True)) for name in counted}
        counted = {name: page.total or 0 for name, page in pages.items()}
    return counted


async def history(session: Session, scope: Scope, query: q.HistoryQuery) -> HistoryPage:
    """Newest first (R4 http.html#history)."""
    if query.snapshot is None:
        rows = await session.fetch("SELECT c.seq FROM clock c", ())
        query = replace(query, snapshot=rows[0][0])
    statement = Statement(session.postgresql)
    where = _history_where(query, statement) + _permitted_where(scope, query, statement)
    total = None
    if query.total:
        counted = await session.fetch(f"SELECT count(*) FROM version ver WHERE {where}", statement.parameters)
        total = int(counted[0][0])
    if query.count == 0:
        return HistoryPage([], query.snapshot or 0, total)
    if query.before is not None:
        where += f" AND ver.seq < {statement.bind(query.before)}"
    # An instance's versions come by the (rid, version) index, whose order is seq order too.
    order = "ver.version" if query.logical_id is not None else "ver.seq"
    sql = f"SELECT {VERSION_COLUMNS} FROM version ver WHERE {where} ORDER BY {order} DESC LIMIT {query.count + 1}"
    found = await session.fetch(sql, statement.parameters)
    more = len(found) > query.count
    versions = await all_stored(session, found[: query.count])
    return HistoryPage(versions, query.snapshot or 0, total, versions[-1].seq if more else None)


def _history_where(query: q.HistoryQuery, statement: Statement) -> str:
    bind = statement.bind
    parts = [f"ver.seq <= {bind(query.snapshot)}"]
    if query.resource_type is not None and query.logical_id is not None:
        parts.append(f"ver.rid = {bind(rid(query.resource_type, query.logical_id))}")
    elif query.resource_type is not None:
        parts.append(f"ver.type = {bind(TYPE_NUMBERS[query.resource_type])}")
    else:
        parts.append(f"ver.type < {FIRST_CONTAINED_TYPE}")
    if query.since is not None:
        parts.append(last_updated_bounds(q.LastUpdatedRange(low=query.since), statement, "ver.seq"))
    if query.at_high is not None:
        parts.append(last_updated_bounds(q.LastUpdatedRange(high=query.at_high), statement, "ver.seq"))
    if query.at_low is not None:
        # Current at some time from at_low on: not replaced by then.
        replaced = (
            "SELECT 1 FROM version later WHERE later.rid = ver.rid AND later.version = ver.version + 1"
            f" AND later.last_updated <= {bind(query.at_low)}"
        )
        parts.append(f"NOT {statement.exists(replaced)}")
    return " AND ".join(parts)


def _permitted_where(scope: Scope, query: q.HistoryQuery, statement: Statement) -> str:
    """As `permitted`, of versions `ver` of any resource: what the newest one's index says decides."""
    if not scope.predicates:
        return ""
    newest = "SELECT max(x.version) FROM version x WHERE x.rid = ver.rid"
    sql = f"SELECT 1 FROM version n WHERE n.rid = ver.rid AND n.version = ({newest})"
    sql += f" AND n.method < {METHODS.index('delete')}"
    for predicate in scope.predicates:
        sql += f" AND {condition(predicate, statement, query.resource_type or '', UNDATED)}"
    return f" AND {statement.exists(sql)}"


async def permitted(session: Session, scope: Scope, version: StoredVersion | None) -> StoredVersion | None:
    """The version, unless the scope's predicates exclude its resource."""
    if version is None or not scope.predicates:
        return version
    wanted = q.Query(version.resource_type, (q.IdIn((rid(version.resource_type, version.logical_id),)),), count=1)
    found = await search(session, scope, wanted)
    return version if found.matches else None
