"""Resources by a date of theirs, the earliest first: a walk of the search index that stops after its LIMIT."""

from __future__ import annotations

from fhir_server.storage.base import Dated
from fhir_server.storage.sql.dialect import Session, Statement
from fhir_server.storage.sql.plan import VERSION_COLUMNS
from fhir_server.storage.sql.reads import stored

Place = tuple[int, int, int]


async def earliest(session: Session, p: int, until: int, count: int, after: Place) -> list[Dated]:
    """See `storage.base.Store.earliest`. A row value is compared as the index is sorted, so the walk begins there."""
    statement = Statement(session.postgresql)
    bind = statement.bind
    forced = "" if session.postgresql else " INDEXED BY number_search"
    rows = (
        f"SELECT n.v, n.k, n.seq FROM number n{forced} WHERE n.p = {bind(p)} AND n.v <= {bind(until)}"
        f" AND (n.v, n.k, n.seq) > ({', '.join(map(bind, after))}) AND {statement.visible('n')}"
        f" ORDER BY n.v, n.k, n.seq LIMIT {count}"
    )
    found = await session.fetch(
        *statement.finished(
            f"SELECT {VERSION_COLUMNS}, q.v, q.k FROM ({rows}) q CROSS JOIN version ver WHERE ver.seq = q.seq"
            " ORDER BY q.v, q.k, q.seq"
        )
    )
    return [Dated(await stored(session, row), (row[8], row[9], row[0])) for row in found]
