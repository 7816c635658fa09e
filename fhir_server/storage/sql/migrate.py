"""Schema versions: Alembic migrations, run once under a lock; a database that is up to date costs one look."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

HEAD = "0003"
"""The newest revision; a test compares it with the migrations folder."""

MIGRATIONS = Path(__file__).parent / "migrations"

WAIT_SECONDS = 10
"""How long to wait for another process that migrates the same SQLite file."""


class UnsuitableSchema(RuntimeError):
    """The database's schema is not this version's and will not be changed."""


def require_head(path: Path) -> None:
    """For a process that only reads the file: raises `UnsuitableSchema` when it is not at HEAD."""
    if not path.exists():
        raise UnsuitableSchema(f"There is no database at {path}: check the path, or run fhir-server migrate first.")
    _require(_sqlite_revision(path))


async def require_postgresql_head(url: str) -> None:
    """The same for PostgreSQL."""
    import asyncpg  # noqa: PLC0415 - the postgres extra

    connection = await asyncpg.connect(url)
    try:
        known = await connection.fetchval("SELECT to_regclass('alembic_version')")
        found = await connection.fetchval("SELECT version_num FROM alembic_version") if known else None
    finally:
        await connection.close()
    _require(found)


def _require(found: str | None) -> None:
    if found != HEAD:
        has = f"schema version {found}" if found else "no schema"
        raise UnsuitableSchema(f"The database has {has}, not version {HEAD}: run fhir-server migrate first.")


def migrate_sqlite(path: Path) -> bool:
    """Bring the file to HEAD; True when something was done."""
    if _sqlite_revision(path) == HEAD:
        return False
    from sqlalchemy import create_engine  # noqa: PLC0415 - only a new or old database pays for the import
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    from fhir_server.storage.sqlite.connection import connect  # noqa: PLC0415

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connect(path).close()
            break
        except sqlite3.OperationalError:  # another process switches the new file to WAL: SQLite does not wait for it
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        upgrade(connection)
    engine.dispose()
    return True


def _sqlite_revision(path: Path) -> str | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return row[0] if row else None


async def migrate_postgresql(url: str) -> bool:
    """Bring the database to HEAD, one process at a time (advisory lock); True when something was done."""
    import asyncpg  # noqa: PLC0415 - the postgres extra

    connection = await asyncpg.connect(url)
    try:
        known = await connection.fetchval("SELECT to_regclass('alembic_version')")
        if known and await connection.fetchval("SELECT version_num FROM alembic_version") == HEAD:
            return False
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
        from sqlalchemy.pool import NullPool  # noqa: PLC0415

        await connection.execute("SELECT pg_advisory_lock(7205759403792793)")

        async def connected() -> asyncpg.Connection:
            return await asyncpg.connect(url)

        engine = create_async_engine("postgresql+asyncpg://", async_creator=connected, poolclass=NullPool)
        async with engine.connect() as sql_connection:
            await sql_connection.run_sync(upgrade)
        await engine.dispose()
        return True
    finally:
        await connection.close()


def upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    found = MigrationContext.configure(connection).get_current_revision()
    if found not in (None, *(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())):
        raise UnsuitableSchema(f"The database has schema version {found}, made by a newer version of fhir-server.")
    command.upgrade(config, "head")
