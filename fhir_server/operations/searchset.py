"""A searchset Bundle written piece by piece from stored bytes, never held as a whole when it is large.

R4 bundle.html#searchset; http.html#search (fullUrl, search.mode, links).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fhir_server.interactions.binary import complete_body
from fhir_server.interactions.bundle import entry
from fhir_server.interactions.exchange import Request, Server
from fhir_server.model import json
from fhir_server.storage.base import StoredVersion

Found = tuple[StoredVersion, str]
"""A resource and its search.mode: match or include."""

CHUNK = 65_536
"""Entries are sent together up to this many bytes."""
STREAMED_FROM = 1_048_576
"""A Bundle up to this size is sent as one body, which can be compressed and has a Content-Length."""


async def searchset(
    server: Server, request: Request, found: AsyncIterator[Found], links: list[dict[str, str]], *, total: bool
) -> bytes | AsyncIterator[bytes]:
    """The Bundle of what `found` yields; with `total` it ends with the number of matches, known only then."""
    chunks = _chunked(_pieces(server, request, found, links, total))
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) > STREAMED_FROM:
            return _resumed(bytes(head), chunks)
    return bytes(head)


async def _resumed(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk


async def _chunked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    async for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    if gathered:
        yield b"".join(gathered)


async def _pieces(
    server: Server, request: Request, found: AsyncIterator[Found], links: list[dict[str, str]], total: bool
) -> AsyncIterator[bytes]:
    yield b'{"resourceType":"Bundle","type":"searchset","link":' + json.encode(links)
    matches, separator = 0, b',"entry":['
    async for version, mode in found:
        matches += mode == "match"
        yield separator + entry(
            full_url=f"{request.base_url}/{version.resource_type}/{version.logical_id}",
            resource=await complete_body(server, request, version),
            search_mode=mode,
        )
        separator = b","
    if separator == b",":
        yield b"]"
    yield b',"total":%d}' % matches if total else b"}"
