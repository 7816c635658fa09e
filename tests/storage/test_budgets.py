"""A statement ends at its budget, and when nobody waits for it any longer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from fhir_server.errors import TooCostly
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.scope import ALL
from fhir_server.storage.sqlite.connection import SqliteSession
from tests.storage.direct import rows, sqlite_path

ENDLESS = {
    "sqlite": "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(600)",
}
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"


async def settled(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.02)


async def running(store: Any, engine: str, url: str) -> bool:
    """A thread, or a connection, is at the statement."""
    if engine == "sqlite":
        threads = store.session._threads
        return bool(threads._threads) and threads._work_queue.empty() and not store.session._idle
    ((count,),) = await rows(url, RUNNING)
    return int(count) > 0


async def test_it_stops_when_nobody_waits(engine: str, database_url: str) -> None:
    store: Any = await open_store(Settings(database=database_url, content=False, search_seconds=600, search_steps=0))
    try:
        reading = asyncio.create_task(store.session.fetch(ENDLESS[engine], ()))
        await settled(lambda: running(store, engine, database_url))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        async def stopped() -> bool:
            return not await running(store, engine, database_url)

        await settled(stopped)
        # The connection serves the next read.
        assert [tuple(row) for row in await store.session.fetch("SELECT 1", ())] == [(1,)]
    finally:
        await store.close()


async def test_it_stops_at_the_time(engine: str, database_url: str) -> None:
    store: Any = await open_store(Settings(database=database_url, content=False, search_seconds=0.2, search_steps=0))
    try:
        started = time.monotonic()
        with pytest.raises(TooCostly):
            await store.session.fetch(ENDLESS[engine], ())
        assert time.monotonic() - started < 5
    finally:
        await store.close()


async def test_sqlite_stops_at_the_steps(settings: Settings, engine: str, store: Any) -> None:
    """PostgreSQL counts no rows while it runs: the time alone ends a statement there (docs/settings.md)."""
    if engine != "sqlite":
        return
    session = SqliteSession(sqlite_path(settings.database), seconds=600, steps=1_000_000)
    try:
        with pytest.raises(TooCostly, match="search_steps"):
            await session.fetch(ENDLESS[engine], ())
    finally:
        session.close()


async def test_what_a_write_reads_stops_at_the_time_too(engine: str, database_url: str) -> None:
    """A condition is evaluated in the writer, for which all others wait: they are written all the same."""
    store: Any = await open_store(Settings(database=database_url, content=False, search_seconds=0.2))
    try:

        async def endless(transaction: Any) -> None:
            await transaction.connection.fetch(ENDLESS[engine], ())

        async def short(transaction: Any) -> str:
            await transaction.connection.fetch("SELECT 1", ())
            return "written"

        started = time.monotonic()
        works = [store.write(ALL, work) for work in (short, endless, short)]
        found = await asyncio.gather(*works, return_exceptions=True)
        assert [type(one) for one in found] == [str, TooCostly, str]
        assert time.monotonic() - started < 5
        assert await store.write(ALL, short) == "written"
    finally:
        await store.close()


async def test_a_long_statement_starts_beside_the_event_loop_the_next_time(tmp_path: Path) -> None:
    """Its first run is tried on the event loop and begun again; the next is not, until one was short."""
    session = SqliteSession(tmp_path / "counted.db", seconds=600)
    counted = ENDLESS["sqlite"].replace("FROM c)", "FROM c WHERE x < ?)")

    async def beside(rows: int) -> bool:
        """Whether the event loop went on while the statement ran."""
        others: list[int] = []
        asyncio.get_running_loop().call_soon(others.append, 1)
        assert list(await session.fetch(counted, (rows,))) == [(rows,)]
        return bool(others)

    try:
        assert not await beside(1)
        assert await beside(1_000_000)
        assert await beside(1)
        # A thread that had to wait for the processor may seem to have taken long.
        assert not all([await beside(1) for _ in range(50)])
    finally:
        session.close()
