"""A large load into a store that holds little: the largest indexes are made once at the end, sorted, not row by row.

Until then the store answers no search, so it is opened by nobody else: whoever comes is refused while the load lasts,
and makes the indexes when it was broken off (docs/decisions/0014-a-large-load-puts-its-index-off.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_server.settings import Settings

SMALLEST = 10_000_000
"""Bytes of files below which it is not worth it."""


@asynccontextmanager
async def index_put_off(settings: Settings, size: int) -> AsyncIterator[bool]:
    """Whether the index is put off: open the store with `loading`, and close it before this ends, which makes it.

    `size`: bytes of the files. It is not put off for few of them, in a store that holds much, or that another process
    has open.
    """
    url = settings.database
    if size < SMALLEST:
        yield False
    elif url.startswith("sqlite:///"):
        from fhir_server.storage.sqlite.put_off import put_off  # noqa: PLC0415 - only the engine in use is loaded

        async with put_off(Path(url.removeprefix("sqlite:///"))) as done:
            yield done
    else:
        from fhir_server.storage.postgresql.put_off import put_off_postgresql  # noqa: PLC0415

        async with put_off_postgresql(url) as done:
            yield done
