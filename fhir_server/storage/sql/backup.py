"""Reading for backups and writing for restores (storage/backup.py: Backups)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from fhir_server.errors import BusinessRule
from fhir_server.storage.backup import Row
from fhir_server.storage.codes import FIRST_CONTAINED_TYPE, METHODS, TYPE_NAMES
from fhir_server.storage.rows import NO_DATE
from fhir_server.storage.scope import ALL
from fhir_server.storage.sql.dialect import Statement, positional
from fhir_server.storage.sql.pending import Pending
from fhir_server.storage.sql.predicates import listing_parameter

if TYPE_CHECKING:
    from fhir_server.storage.sql.pending import Connection
    from fhir_server.storage.sql.store import SqlStore
    from fhir_server.storage.sql.transaction import SqlTransaction

RESTORING = "restoring"
"""Name of the secret that marks a store whose restore has not ended."""
_DELETE = METHODS.index("delete")
_VERSIONS = (
    "SELECT ver.seq, ver.rid, ver.type, ver.id, ver.version, ver.last_updated, ver.method, ver.codec, ver.body"
    " FROM version ver WHERE ver.seq > ? AND ver.seq <= ? ORDER BY ver.seq LIMIT ?"
)
_SETTINGS = {
    "secret": "SELECT s.name, s.value FROM secret s",
    "parameter": "SELECT p.number, p.type, p.code, p.source, p.state, p.definition FROM parameter p",
}
_SET = {
    "secret": "INSERT INTO secret (name, value) VALUES (?, ?)",
    "parameter": "INSERT INTO parameter (number, type, code, source, state, definition) VALUES (?, ?, ?, ?, ?, ?)",
}
_TICK = "INSERT INTO tick (last_updated, seq) VALUES (?, ?) ON CONFLICT (last_updated) DO UPDATE SET seq = excluded.seq"
_CURRENT = (
    f"{{row}}.type < {FIRST_CONTAINED_TYPE} AND {{row}}.method < {_DELETE} AND NOT EXISTS"
    " (SELECT 1 FROM version later WHERE later.rid = {row}.rid AND later.version = {row}.version + 1)"
)
_CONTAINER = (
    f"(SELECT c.seq FROM version c WHERE c.seq < v.seq AND c.type < {FIRST_CONTAINED_TYPE} ORDER BY c.seq DESC LIMIT 1)"
)
"""What a contained resource stands in was written just before it."""


class SqlBackups:
    """The backups of one store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def versions(self, after: int, upto: int, count: int) -> Sequence[Row]:
        session = self._store.session
        rows = await session.fetch(positional(_VERSIONS, session.postgresql), (after, upto, count))
        return [tuple(row) for row in rows]

    async def blobs(self, seqs: Sequence[int]) -> AsyncIterator[tuple[Row, int, bytes]]:
        session = self._store.session
        statement = Statement(session.postgresql)
        where = statement.one_of("b.seq", seqs)
        sql = f"SELECT b.seq, b.position, b.size, b.content_type FROM blob b WHERE {where}"
        chunk = positional("SELECT c.content FROM blob_chunk c WHERE c.seq = ? AND c.n = ?", session.postgresql)
        for row in await session.fetch(*statement.finished(sql)):
            number = 0
            while found := await session.fetch(chunk, (row[0], number)):
                yield tuple(row), number, bytes(found[0][0])
                number += 1

    async def settings(self) -> dict[str, list[Row]]:
        session = self._store.session
        return {name: [tuple(row) for row in await session.fetch(sql, ())] for name, sql in _SETTINGS.items()}

    async def begin(self) -> None:
        async def work(connection: Connection) -> None:
            if await connection.fetch("SELECT 1 FROM version v LIMIT 1", ()):
                raise BusinessRule("The database holds something: restore into a new, empty one.")
            await connection.run("DELETE FROM secret")
            await connection.run(positional(_SET["secret"], connection.postgresql), (RESTORING, b"1"))

        await self._write(work)

    async def add(self, versions: Sequence[Row]) -> None:
        async def work(connection: Connection) -> None:
            await connection.send(Pending(version=list(versions)))
            ticks = {row[5]: row[0] for row in versions}
            for last_updated, seq in ticks.items():
                await connection.run(positional(_TICK, connection.postgresql), (last_updated, seq))

        await self._write(work)

    async def add_chunk(self, blob: Row, number: int, content: bytes) -> None:
        async def work(connection: Connection) -> None:
            first = [blob] if number == 0 else []
            await connection.send(Pending(blob=first, blob_chunk=[(blob[0], number, content)]))

        await self._write(work)

    async def settle(self, seq: int, last_updated: int, settings: dict[str, list[Row]]) -> None:
        async def work(connection: Connection) -> None:
            numbers = [row[0] for row in await connection.fetch("SELECT DISTINCT v.type FROM version v", ())]
            for number in numbers:
                await self._list(connection, number)
            for name, rows in settings.items():
                for row in rows:
                    await connection.run(positional(_SET[name], connection.postgresql), row)
            # No snapshot of before is left, and all index rows are still to be made.
            clock = "UPDATE clock SET seq = ?, last_updated = ?, floor = ?, epoch = epoch + 1, extraction = 0"
            await connection.run(positional(clock, connection.postgresql), (seq, last_updated, seq))

        await self._write(work)

    async def _list(self, connection: Connection, number: int) -> None:
        """The rows that say which versions of a type are current, which reindexing goes by; and how many there are."""
        if number < FIRST_CONTAINED_TYPE:
            where = _CURRENT.format(row="v")
        else:
            current = _CURRENT.format(row="container")
            where = f"EXISTS (SELECT 1 FROM version container WHERE container.seq = {_CONTAINER} AND {current})"
        parameter = listing_parameter(TYPE_NAMES[number])
        listing = positional(
            f"INSERT INTO number (seq, p, v, w, k) SELECT v.seq, {parameter}, 0, 0, {NO_DATE}"
            f" FROM version v WHERE v.type = ? AND {where}",
            connection.postgresql,
        )
        current_ones = await connection.run(listing, (number,))
        if number >= FIRST_CONTAINED_TYPE:
            every = positional("SELECT count(*) FROM version v WHERE v.type = ?", connection.postgresql)
            current_ones = (await connection.fetch(every, (number,)))[0][0]
            # As a vacuum does: what only a replaced version contains is not searched any more.
            listed = f"SELECT 1 FROM number n WHERE n.seq = version.seq AND n.p = {parameter}"
            old = positional(f"DELETE FROM version WHERE type = ? AND NOT EXISTS ({listed})", connection.postgresql)
            await connection.run(old, (number,))
        await connection.send(Pending(stat=[(number, current_ones, 0)]))

    async def end(self) -> None:
        async def work(connection: Connection) -> None:
            await connection.run(positional("DELETE FROM secret WHERE name = ?", connection.postgresql), (RESTORING,))

        await self._write(work)
        self._store.forget_secrets()

    async def _write(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        async def within(transaction: SqlTransaction) -> None:
            await work(await transaction.exclusive())

        await self._store.write(ALL, within)  # type: ignore[arg-type]
