"""PostgreSQL's largest indexes put off: number_search and feature_items (GIN).

Who marks the database, or makes what is missing, holds an advisory lock. Other connections there are not refused:
without the indexes they would find the same, if slowly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from fhir_server.storage.postgresql.connection import connect
from fhir_server.storage.sql.migrate import migrate_postgresql
from fhir_server.storage.sql.put_off import MARK, MARKED, MOST_STORED, STORED, UNMARK, index_statement, under_way

_LOCK = 7205759403792794
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND coalesce(backend_type, 'client backend') = 'client backend'"
)
"""Of those of other users only that they are there is told."""
_INDEXES = ("number_search", "feature_items")
_SORTING = "SET maintenance_work_mem = '256MB'"


@asynccontextmanager
async def put_off_postgresql(url: str) -> AsyncIterator[bool]:
    """Whether it is, until this ends."""
    await migrate_postgresql(url)
    connection = await connect(url)
    try:
        done = await _begin(connection)
        try:
            yield done
        finally:
            if done:
                await _make(connection)
    finally:
        await connection.close()


async def require_made(url: str, *, make: bool) -> None:
    """Make what was put off, if anything is. Raises BusinessRule while a load is under way, or if not to `make` it."""
    connection = await connect(url)
    try:
        if await connection.fetchval(MARKED):
            if not make or not await connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})"):
                raise under_way()
            await _make(connection)
    finally:
        await connection.close()


async def _begin(connection: asyncpg.Connection) -> bool:
    async with connection.transaction():
        if await connection.fetchval(_OTHERS) or not await connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})"):
            return False
        if not await connection.fetchval(MARKED) and await connection.fetchval(STORED) > MOST_STORED:
            return False
        await connection.execute(MARK)
        await connection.execute(f"DROP INDEX IF EXISTS {', '.join(_INDEXES)}")
        return True


async def _make(connection: asyncpg.Connection) -> None:
    await connection.execute(_SORTING)
    for name in _INDEXES:
        await connection.execute(index_statement(name, "postgresql"))
    await connection.execute(UNMARK)
    await connection.execute("ANALYZE version, number, text, composite, feature")
