"""Stored resources: the Store protocol (`base`) and what implements it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_server.settings import Settings
    from fhir_server.storage.base import Store


async def open_store(
    settings: Settings, *, writing: bool = True, scanning: bool = False, loading: bool = False
) -> Store:
    """Open the store of `settings.database`; `writing=False` (SQLite) makes a reader whose writes go elsewhere.

    `scanning`: what is read is read once, so that no memory is spent on keeping it.
    `loading`: for a load whose index is put off (storage/put_off.py).

    Raises ValueError for a URL of another kind; BusinessRule while a load is under way.
    """
    store: Store
    url = settings.database
    if url.startswith("sqlite:///"):
        # Only the engine in use is loaded.
        from fhir_server.storage.sqlite.connection import READER_CACHE_KIB, SCANNING_CACHE_KIB  # noqa: PLC0415
        from fhir_server.storage.sqlite.store import SqliteStore  # noqa: PLC0415

        store = SqliteStore(
            Path(url.removeprefix("sqlite:///")),
            writing=writing,
            synchronous=settings.sqlite_synchronous,
            seconds=settings.search_seconds,
            steps=settings.search_steps,
            max_pending=settings.max_pending_writes,
            cache_kib=SCANNING_CACHE_KIB if scanning else READER_CACHE_KIB,
            loading=loading,
        )
    elif url.startswith(("postgresql://", "postgres://")):
        from fhir_server.storage.postgresql.store import PostgresqlStore  # noqa: PLC0415

        store = PostgresqlStore(
            url,
            writing=writing,
            seconds=settings.search_seconds,
            max_pending=settings.max_pending_writes,
            loading=loading,
        )
    else:
        raise ValueError("The database must be sqlite:///PATH or postgresql://USER@HOST/NAME.")
    await store.open()
    return store
