"""Migrations: what they make is the schema of storage/sql/schema.py, whole or not at all, once, and never backwards."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_mock_engine

from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.sql import migrate
from fhir_server.storage.sql.schema import METADATA
from fhir_server.storage.sqlite.store import SqliteStore
from tests.storage import direct

# The catalogues: what the engine itself says that it has.
SQLITE_CATALOGUE = {
    "tables": "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'",
    "columns": 'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden'
    " FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'table'",
    "indexes": 'SELECT m.name, i.name, i."unique", i.origin, i.partial, x.seqno, x.name, x.desc, x.coll'
    " FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) x"
    " WHERE m.type = 'table' AND x.key",
    "others": "SELECT type, name, sql FROM sqlite_master WHERE type NOT IN ('table', 'index')",
}
OURS = "c.relnamespace = 'public'::regnamespace"
POSTGRESQL_CATALOGUE = {
    "tables": f"SELECT c.relname, c.relkind::text, c.relpersistence::text FROM pg_class c WHERE {OURS}",
    "columns": "SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, o.collname,"
    " pg_get_expr(d.adbin, d.adrelid) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " LEFT JOIN pg_collation o ON o.oid = a.attcollation"
    " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
    f" WHERE {OURS} AND c.relkind = 'r' AND a.attnum > 0",
    "indexes": f"SELECT pg_get_indexdef(c.oid) FROM pg_class c WHERE {OURS} AND c.relkind = 'i'",
    "constraints": "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_class c"
    f" JOIN pg_constraint k ON k.conrelid = c.oid WHERE {OURS}",
}


async def catalogue(url: str) -> dict[str, list[str]]:
    queries = SQLITE_CATALOGUE if url.startswith(direct.SQLITE) else POSTGRESQL_CATALOGUE
    return {
        part: sorted(str(row) for row in await direct.rows(url, sql) if "alembic_version" not in str(row))
        for part, sql in queries.items()
    }


async def create_from_metadata(url: str) -> None:
    """The tables as SQLAlchemy makes them of METADATA; a table may be one engine's alone."""
    dialect = "sqlite" if url.startswith(direct.SQLITE) else "postgresql"
    statements: list[str] = []
    driver = "sqlite://" if dialect == "sqlite" else "postgresql+asyncpg://"

    def collect(ddl: Any, *_: Any, **__: Any) -> None:
        statements.append(str(ddl.compile(dialect=mock.dialect)))

    mock = create_mock_engine(driver, collect)
    tables = [table for table in METADATA.sorted_tables if table.info.get("dialect", dialect) == dialect]
    METADATA.create_all(mock, tables=tables, checkfirst=False)
    await direct.run(url, *statements)


async def migrate_to_head(url: str) -> bool:
    if url.startswith(direct.SQLITE):
        return migrate.migrate_sqlite(direct.sqlite_path(url))
    return await migrate.migrate_postgresql(url)


async def test_migrations_make_the_schema_of_the_metadata(
    engine: str, database_url: str, new_database: Callable[[str], str]
) -> None:
    assert await migrate_to_head(database_url)
    declared = new_database(engine)
    await create_from_metadata(declared)
    migrated = await catalogue(database_url)
    assert len(migrated["tables"]) > 10
    assert migrated == await catalogue(declared)


def test_head_is_the_newest_file_in_the_migrations_folder() -> None:
    files = sorted((Path(migrate.__file__).parent / "migrations" / "versions").glob("r*.py"))
    assert files[-1].name.startswith(f"r{migrate.HEAD}_")


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    assert await migrate_to_head(database_url)
    before = await catalogue(database_url)
    assert not await migrate_to_head(database_url)
    assert await catalogue(database_url) == before
    assert await direct.rows(database_url, "SELECT id, seq, floor FROM clock") == [(1, 0, 0)]
    assert await direct.rows(database_url, "SELECT version_num FROM alembic_version") == [(migrate.HEAD,)]


async def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    command = (sys.executable, "-m", "fhir_server.cli.main", "migrate", "--database", database_url)
    together = [await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE) for _ in range(2)]
    answers = [await process.communicate() for process in together]
    assert [process.returncode for process in together] == [0, 0], answers
    assert await direct.rows(database_url, "SELECT id, seq, floor FROM clock") == [(1, 0, 0)]


async def test_a_migration_that_fails_leaves_nothing_and_can_be_repeated(database_url: str) -> None:
    """As when the process is killed, or the disk is full, in the middle."""
    await direct.run(database_url, "CREATE TABLE secret (in_the_way INTEGER)")
    before = await catalogue(database_url)
    with pytest.raises(Exception, match="already exists"):
        await migrate_to_head(database_url)
    assert await catalogue(database_url) == before
    await direct.run(database_url, "DROP TABLE secret")
    assert await migrate_to_head(database_url)


async def test_a_database_of_a_newer_version_is_refused(database_url: str, settings: Settings) -> None:
    await migrate_to_head(database_url)
    await direct.run(database_url, "UPDATE alembic_version SET version_num = '9876'")
    before = await catalogue(database_url)
    with pytest.raises(migrate.UnsuitableSchema, match=r"9876.*newer"):
        await migrate_to_head(database_url)
    with pytest.raises(migrate.UnsuitableSchema, match=r"9876.*newer"):
        await open_store(settings)
    assert await catalogue(database_url) == before
    assert await direct.rows(database_url, "SELECT version_num FROM alembic_version") == [("9876",)]


@pytest.mark.parametrize("file", ["absent", "empty", "old"])
async def test_a_reader_does_not_open_a_file_that_is_not_migrated(tmp_path: Path, file: str) -> None:
    path = tmp_path / "reader.db"
    if file == "empty":
        path.touch()
    if file == "old":
        migrate.migrate_sqlite(path)
        await direct.run(f"sqlite:///{path}", "UPDATE alembic_version SET version_num = '0000'")
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(migrate.UnsuitableSchema, match="fhir-server migrate"):
        await SqliteStore(path, writing=False).open()
    assert (path.read_bytes() if path.exists() else None) == before


async def test_a_reader_opens_a_file_that_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "reader.db"
    migrate.migrate_sqlite(path)
    store = SqliteStore(path, writing=False)
    await store.open()
    await store.ready()
    await store.close()
