"""SQL straight on a database of either engine, past the store: to look at it, and to damage it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

SQLITE = "sqlite:///"


def sqlite_path(url: str) -> Path:
    return Path(url.removeprefix(SQLITE))


async def run(url: str, *statements: str) -> None:
    """Each statement in a transaction of its own."""
    if url.startswith(SQLITE):
        with closing(sqlite3.connect(sqlite_path(url), timeout=10, isolation_level=None)) as file:
            for statement in statements:
                file.execute(statement)
        return
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def rows(url: str, sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
    if url.startswith(SQLITE):
        with closing(sqlite3.connect(sqlite_path(url), timeout=10)) as file:
            return file.execute(sql, parameters).fetchall()
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql, *parameters)]
    finally:
        await connection.close()
