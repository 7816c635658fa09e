"""The production store: PostgreSQL, any number of equal workers."""

from __future__ import annotations

from fhir_server.storage.postgresql.connection import PostgresqlSession
from fhir_server.storage.postgresql.engine import PostgresqlEngine
from fhir_server.storage.postgresql.put_off import require_made
from fhir_server.storage.sql.migrate import migrate_postgresql
from fhir_server.storage.sql.store import SqlStore
from fhir_server.storage.sql.writer import GroupWriter

READ_CONNECTIONS = 8
"""Per worker: more only queue inside PostgreSQL."""


class PostgresqlStore(SqlStore):
    """Connects to `url`; migrates it first when it is new or old."""

    def __init__(
        self,
        url: str,
        *,
        writing: bool = True,
        seconds: float = 10.0,
        max_pending: int = 1000,
        loading: bool = False,
    ) -> None:
        """`writing=False`: nothing that is missing is made."""
        super().__init__()
        self._writing = writing
        self._loading = loading
        self._url = url
        self._engine = PostgresqlEngine(url, seconds=seconds)
        self.session: PostgresqlSession = PostgresqlSession(url, seconds=seconds, size=READ_CONNECTIONS)
        self.writer = GroupWriter(self._engine, max_pending)

    async def open(self) -> None:
        await migrate_postgresql(self._url)
        if not self._loading:
            await require_made(self._url, make=self._writing)
        await self.prepare()

    async def close(self) -> None:
        await self.writer.close()
        await self._engine.close()
        await self.session.close()
