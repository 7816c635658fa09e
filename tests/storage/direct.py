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


class Session:
    """One connection as what `check` reads from; every statement is part of one transaction, undone at the end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.postgresql = not url.startswith(SQLITE)

    async def __aenter__(self) -> Session:
        if self.postgresql:
            self._connection = await asyncpg.connect(self._url)
        else:
            self._connection = sqlite3.connect(sqlite_path(self._url), timeout=10, isolation_level=None)
        await self.fetch("BEGIN", ())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.fetch("ROLLBACK", ())
        closing = self._connection.close()
        if self.postgresql:
            await closing

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        if self.postgresql:
            return await self._connection.fetch(sql, *parameters)
        return self._connection.execute(sql, parameters).fetchall()
