"""Reading for exports (storage/export.py: Exports): keyset pages by (type, seq), bodies unparsed.

What replaced a version is looked up in an index of later versions alone, which is small where little changes; the
`superseded` table does not do, as it forgets what is older than the retention horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fhir_server.storage.base import StoredVersion
from fhir_server.storage.codes import METHODS, TYPE_NUMBERS
from fhir_server.storage.export import Extent, Moment
from fhir_server.storage.sql import reads
from fhir_server.storage.sql.dialect import Statement, positional
from fhir_server.storage.sql.plan import VERSION_COLUMNS
from fhir_server.storage.sql.predicates import PATIENT_COMPARTMENT

if TYPE_CHECKING:
    from fhir_server.storage.sql.store import SqlStore

_DELETE = METHODS.index("delete")
_VERSIONS = (
    "SELECT ver.seq, ver.{column}, ver.version FROM version ver"
    " WHERE ver.type = ? AND ver.seq > ? AND ver.seq <= ? AND ver.method {method}"
    " AND NOT EXISTS (SELECT 1 FROM version later{index} WHERE later.rid = ver.rid AND later.version = ver.version + 1"
    " AND later.version > 1 AND later.seq <= ?{probe})"
    " ORDER BY ver.seq LIMIT ?"
)


class SqlExports:
    """The exports of one store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def now(self) -> Moment:
        rows = await self._store.session.fetch("SELECT c.seq, c.last_updated FROM clock c", ())
        return Moment(*rows[0])

    async def seq_at(self, last_updated: int) -> int:
        session = self._store.session
        sql = "SELECT t.seq FROM tick t WHERE t.last_updated <= ? ORDER BY t.last_updated DESC LIMIT 1"
        rows = await session.fetch(positional(sql, session.postgresql), (last_updated,))
        return int(rows[0][0]) if rows else 0

    async def page(self, extent: Extent, after: int, count: int) -> Sequence[tuple[int, bytes]]:
        rows = await self._versions(extent, after, count, "body", f"< {_DELETE}")
        return [(seq, body) for seq, body, _ in rows]

    async def deleted(self, extent: Extent, after: int, count: int) -> Sequence[tuple[int, str, int]]:
        rows = await self._versions(extent, after, count, "id", f"= {_DELETE}")
        return [(seq, logical_id, version) for seq, logical_id, version in rows]

    async def versions(self, seqs: Sequence[int]) -> list[StoredVersion]:
        session = self._store.session
        statement = Statement(session.postgresql)
        where = statement.one_of("ver.seq", seqs)
        sql = f"SELECT {VERSION_COLUMNS} FROM version ver WHERE {where} ORDER BY ver.seq"
        return await reads.all_stored(session, await session.fetch(*statement.finished(sql)))

    async def owners(self, seqs: Sequence[int], snapshot: int) -> dict[int, list[int]]:
        session = self._store.session
        statement = Statement(session.postgresql)
        where = f"m.p = {statement.bind(PATIENT_COMPARTMENT)} AND {statement.one_of('m.seq', seqs)}"
        found: dict[int, list[int]] = {}
        for seq, owner in await session.fetch(*statement.finished(f"SELECT m.seq, m.v FROM number m WHERE {where}")):
            found.setdefault(seq, []).append(owner)
        # Afterwards: what was cleared meanwhile was not found.
        await reads.check_floor(session, snapshot)
        return found

    async def _versions(
        self, extent: Extent, after: int, count: int, column: str, method: str
    ) -> Sequence[Sequence[Any]]:
        session = self._store.session
        index, probe = ("", " OFFSET 0") if session.postgresql else (" INDEXED BY version_later", "")
        sql = _VERSIONS.format(column=column, method=method, index=index, probe=probe)
        sql = positional(sql, session.postgresql)
        first = max(after, extent.first)
        number = TYPE_NUMBERS[extent.resource_type]
        return await session.fetch(sql, (number, first, extent.last, extent.snapshot, count))
