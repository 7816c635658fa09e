"""The embedded store: one SQLite file in WAL mode, one writing process, any number of readers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fhir_server.errors import Overloaded
from fhir_server.storage.scope import Scope
from fhir_server.storage.sql.migrate import migrate_sqlite, require_head
from fhir_server.storage.sql.put_off import under_way
from fhir_server.storage.sql.store import SqlStore
from fhir_server.storage.sql.writer import GroupWriter, Work
from fhir_server.storage.sqlite.connection import READER_CACHE_KIB, SqliteSession
from fhir_server.storage.sqlite.engine import SqliteEngine
from fhir_server.storage.sqlite.put_off import is_put_off, make_up


class SqliteStore(SqlStore):
    """`writing=False` opens it for reading only: a worker that forwards its writes."""

    def __init__(
        self,
        path: Path,
        *,
        writing: bool = True,
        synchronous: str = "FULL",
        seconds: float = 10.0,
        steps: int = 0,
        max_pending: int = 1000,
        cache_kib: int = READER_CACHE_KIB,
        loading: bool = False,
    ) -> None:
        super().__init__()
        self._path = path
        self._writing = writing
        self._synchronous = synchronous
        self._seconds = seconds
        self._steps = steps
        self._max_pending = max_pending
        self._cache_kib = cache_kib
        self._loading = loading
        self._engine: SqliteEngine | None = None

    async def open(self) -> None:
        """Make or migrate the file (the writer), then connect."""
        if self._writing:
            migrate_sqlite(self._path)
            if not self._loading and is_put_off(self._path):
                await asyncio.to_thread(make_up, self._path)
            self._engine = SqliteEngine(self._path, synchronous=self._synchronous, seconds=self._seconds)
            self.writer = GroupWriter(self._engine, self._max_pending)
        else:
            require_head(self._path)
            if is_put_off(self._path):
                raise under_way()
            self.writer = _NoWriter()
        self.session: SqliteSession = SqliteSession(
            self._path, seconds=self._seconds, steps=self._steps, cache_kib=self._cache_kib
        )
        if self._writing:
            await self.prepare()

    async def close(self) -> None:
        await self.writer.close()
        self.session.close()
        if self._engine is not None:
            self._engine.close()


class _NoWriter(GroupWriter):
    def __init__(self) -> None:
        self._task = None

    async def write(self, scope: Scope, work: Work) -> None:
        raise Overloaded("This worker only reads; the writing worker is not reachable.")
