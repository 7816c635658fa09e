"""How each engine runs searches: the statements as the store sends them, the engine's plans, and how to read them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.sql.dialect import Session
from fhir_server.storage.sql.store import SqlStore

LARGE = {"version", "number", "text", "composite", "feature", "posting"}
"""Tables with one row per resource or many: walking one takes time that grows with the database."""

Recorded = tuple[str, Sequence[Any]]
"""A statement and its parameters."""


class Access(NamedTuple):
    """One use of a large table in a plan. Without columns it is read from one end to the other."""

    table: str
    index: str
    columns: frozenset[str]


class RecordingSession:
    """A session that remembers what it was asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.postgresql = session.postgresql
        self.statements: list[Recorded] = []

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        self.statements.append((sql, parameters))
        return await self._session.fetch(sql, parameters)

    async def plan(self, sql: str, parameters: Sequence[Any]) -> str:
        explain = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " if self.postgresql else "EXPLAIN QUERY PLAN "
        return "\n".join(str(row[-1]) for row in await self._session.fetch(explain + sql, parameters))


async def record(store: Any, settings: Settings, target: str) -> RecordingSession:
    """The search `target` (/fhir/Type?query), carried out."""
    session = store.session
    store.session = recording = RecordingSession(session)
    try:
        parts = urlsplit(target)
        path = parts.path.removeprefix("/fhir/")
        request = Request("GET", path, parse_qsl(parts.query), base_url="http://127.0.0.1/fhir")
        answer = await dispatch(Server(store, settings), request)
    finally:
        store.session = session
    if answer.status != 200:
        raise RuntimeError(f"{target}: {answer.status}")
    return recording


def recorded_statements(url: str, targets: Sequence[str]) -> list[list[Recorded]]:
    """The statements of each of the searches `targets`."""

    async def run() -> list[list[Recorded]]:
        settings = Settings(database=url, content=False)
        store = await open_store(settings)
        try:
            return [(await record(store, settings, target)).statements for target in targets]
        finally:
            await store.close()

    return asyncio.run(run())


def search_plans(url: str, targets: Sequence[str]) -> str:
    """Statements and plans of the searches `targets`, as text."""
    return asyncio.run(_search_plans(url, targets))


async def _search_plans(url: str, targets: Sequence[str]) -> str:
    settings = Settings(database=url)
    store = cast(SqlStore, await open_store(settings))
    parts = []
    try:
        for target in targets:
            recording = await record(store, settings, target)
            parts.append(f"# GET {target}")
            parts += [f"{sql}\n\n{await recording.plan(sql, values)}" for sql, values in recording.statements]
    finally:
        await store.close()
    return "\n\n".join(parts) + "\n"


def sqlite_accesses(sql: str, lines: Sequence[str]) -> Iterator[Access]:
    """From lines such as `SEARCH n USING COVERING INDEX number_search (p=? AND v=? AND k>?)`."""
    tables = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) (\w+) (\w+)", sql) if table in LARGE}
    for line in lines:
        found = re.match(r"(SCAN|SEARCH) (\w+)(?:.* INDEX (\w+))?", line)
        if found is None or found[2] not in tables:
            continue
        index = found[3] or "seq"
        table = index.split("_")[0] if found[3] else tables[found[2]]  # another table may have the same alias
        if table in LARGE:
            columns = re.findall(r"(\w+)[=<>]", line.replace("rowid", "seq")) if found[1] == "SEARCH" else []
            yield Access(table, index, frozenset(columns))


async def postgresql_plan(connection: asyncpg.Connection, sql: str, parameters: Sequence[Any]) -> dict[str, Any]:
    await connection.execute(f"PREPARE statement AS {sql}")
    values = f"({', '.join(map(_literal, parameters))})" if parameters else ""
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE statement{values}")
    await connection.execute("DEALLOCATE statement")
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def postgresql_accesses(node: dict[str, Any]) -> Iterator[Access]:
    kind, index = node["Node Type"], node.get("Index Name", "")
    table = node.get("Relation Name") or index.split("_")[0]  # a Bitmap Index Scan names no table
    if table in LARGE and kind != "Bitmap Heap Scan":
        columns = re.findall(r"\((?:\w+\.)?(\w+) (?:=|<|>|<=|>=|@>|&&) ", node.get("Index Cond", ""))
        yield Access(table, index, frozenset(columns))
    for part in node.get("Plans", ()):
        yield from postgresql_accesses(part)
