"""How each engine runs the main searches: the statements as the store sends them, and the engine's plans."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.sql.dialect import Session
from fhir_server.storage.sql.store import SqlStore


class RecordingSession:
    """A session that remembers what it was asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.postgresql = session.postgresql
        self.statements: list[tuple[str, Sequence[Any]]] = []

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        self.statements.append((sql, parameters))
        return await self._session.fetch(sql, parameters)

    async def plan(self, sql: str, parameters: Sequence[Any]) -> str:
        explain = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " if self.postgresql else "EXPLAIN QUERY PLAN "
        return "\n".join(str(row[-1]) for row in await self._session.fetch(explain + sql, parameters))


def search_plans(url: str, targets: Sequence[str]) -> str:
    """Statements and plans of the searches `targets` (/fhir/Type?query), as text."""
    return asyncio.run(_search_plans(url, targets))


async def _search_plans(url: str, targets: Sequence[str]) -> str:
    settings = Settings(database=url)
    store = cast(SqlStore, await open_store(settings))
    session = store.session
    parts = []
    try:
        for target in targets:
            recording = RecordingSession(session)
            store.session = recording
            await dispatch(Server(cast(Any, store), settings), _request(target))
            parts.append(f"# GET {target}")
            parts += [f"{sql}\n\n{await recording.plan(sql, values)}" for sql, values in recording.statements]
    finally:
        store.session = session
        await store.close()
    return "\n\n".join(parts) + "\n"


def _request(target: str) -> Request:
    parts = urlsplit(target)
    path = parts.path.removeprefix("/fhir/")
    return Request("GET", path, parse_qsl(parts.query), base_url="http://127.0.0.1/fhir")
