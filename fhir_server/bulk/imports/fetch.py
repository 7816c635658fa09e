"""Fetching the file of an import to disk, as it comes: from the store, or from where the server is set to fetch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from fhir_server.bulk.export.files import DiskFile
from fhir_server.errors import FhirError
from fhir_server.interactions.answer import present
from fhir_server.interactions.binary import binary_answer
from fhir_server.interactions.exchange import Request, Server
from fhir_server.operations.import_plan import Input
from fhir_server.operations.imports import check_source
from fhir_server.storage.scope import ALL

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
"""Longest pause within a file."""
ATTEMPTS = 3
PAUSE_SECONDS = 1.0
"""Before the second attempt; doubled for each further one."""
LOOK_BYTES = 32 << 20
"""Fetched between two looks whether the import is still wanted."""
_GZIP = b"\x1f\x8b"


class NotWanted(Exception):
    """The import was ended while its file was fetched."""


async def fetch(server: Server, what: Input, folder: Path, name: str, wanted: Callable[[], Awaitable[bool]]) -> Path:
    """The file `name`.ndjson or, when it is gzipped, `name`.ndjson.gz in `folder`, whole and on disk.

    Raises FhirError when it cannot be fetched, NotWanted when `wanted` says no meanwhile.
    """
    spool = folder / f"{name}.part"
    limit = server.settings.import_max_bytes
    if what.binary is not None:
        await _keep(await _binary(server, what.binary), spool, limit, wanted)
    else:
        await _download(server, what.url, spool, limit, wanted)
    return await asyncio.to_thread(_named, spool, folder / name)


def _named(spool: Path, name: Path) -> Path:
    """The file, whole, under a name that tells whether it is gzipped."""
    with spool.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
    return spool.rename(name.with_name(f"{name.name}.ndjson{'.gz' if packed else ''}"))


async def _binary(server: Server, which: tuple[str, int]) -> AsyncIterator[bytes]:
    version = present(await server.store.vread(ALL, "Binary", *which), "Binary", which[0])
    body = binary_answer(server, Request("GET", ""), version, {}).body
    return _once(body) if isinstance(body, bytes) else body


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _download(server: Server, url: str, spool: Path, limit: int, wanted: Callable[[], Awaitable[bool]]) -> None:
    import httpx  # noqa: PLC0415 - 0.1 s that only an import needs

    check_source(url, server.settings)  # the setting may have changed since the import was accepted
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    failure = ""
    async with httpx.AsyncClient(timeout=timeout, follow_redirects=False) as http:
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                async with http.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
                    if answer.status_code == httpx.codes.OK:
                        await _keep(answer.aiter_raw(), spool, limit, wanted)
                        return
                    failure = f"the answer was {answer.status_code}"
                    if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                        break
            except (httpx.TransportError, httpx.InvalidURL) as error:
                failure = str(error) or type(error).__name__
    raise FhirError(f"{url} cannot be fetched: {failure}.", code="not-found")


async def _keep(content: AsyncIterator[bytes], spool: Path, limit: int, wanted: Callable[[], Awaitable[bool]]) -> None:
    file = await asyncio.to_thread(DiskFile, spool.parent, spool.name, 0)
    try:
        size = looked = 0
        async for piece in content:
            size += len(piece)
            if size > limit:
                raise FhirError(f"The file is larger than {limit} bytes (setting import_max_bytes).", code="too-long")
            await asyncio.to_thread(file.write, piece)
            if size - looked >= LOOK_BYTES:
                looked = size
                if not await wanted():
                    raise NotWanted
        await asyncio.to_thread(file.keep)
    finally:
        file.close()
