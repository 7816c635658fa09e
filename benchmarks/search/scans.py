"""That no named search reads a table, or all rows of a parameter, from one end to the other."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from benchmarks.plans import Access, Recorded, postgresql_accesses, postgresql_plan, sqlite_accesses
from fhir_server.storage.postgresql.connection import SESSION
from tests.storage.direct import SQLITE, sqlite_path

NARROW = {
    "number_search": {"p", "v"},
    "text_search": {"p", "v"},
    "composite_search": {"p", "a"},
    "version_type": {"type"},
}
"""Columns that bound an index at least. `version_type` is walked by the newest until the page is full."""


def full_scans(url: str, statements: Sequence[Recorded]) -> list[str]:
    """Uses of large tables that are not bounded, each with its statement; PostgreSQL also with its generic plans."""
    if url.startswith(SQLITE):
        with sqlite3.connect(sqlite_path(url)) as connection:
            plans = [
                (
                    sql,
                    sqlite_accesses(sql, [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]),
                )
                for sql, values in statements
            ]
    else:
        plans = asyncio.run(_postgresql(url, statements))
    return [f"{access}\n{sql}" for sql, accesses in plans for access in accesses if _unbounded(access)]


def _sqlite(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> Iterator[Access]:
    return sqlite_accesses(sql, [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)])


def _unbounded(access: Access) -> bool:
    return not access.columns or not (
        access.columns & {"seq", "rid"} or access.columns >= NARROW.get(access.index, set())
    )


async def _postgresql(url: str, statements: Sequence[Recorded]) -> list[tuple[str, list[Access]]]:
    connection = await asyncpg.connect(url, server_settings=SESSION)
    found = []
    try:
        for mode in ("force_generic_plan", "force_custom_plan"):
            await connection.execute(f"SET plan_cache_mode = {mode}")
            for sql, values in statements:
                found.append((sql, list(postgresql_accesses(await postgresql_plan(connection, sql, values)))))
    finally:
        await connection.close()
    return found
