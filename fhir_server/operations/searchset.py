"""A searchset Bundle written piece by piece from stored bytes, never held as a whole when it is large.

R4 bundle.html#searchset; http.html#search (fullUrl, search.mode, links).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator

from fhir_server.interactions.exchange import Request, Server
from fhir_server.storage.base import StoredVersion

Found = tuple[StoredVersion, str]
"""A resource and its search.mode: match or include."""

CHUNK = 65_536
"""Pieces are sent together up to this many bytes."""
STREAMED_FROM = 1_048_576
"""A Bundle up to this size is sent as one body, which can be compressed and has a Content-Length."""


async def searchset(
    server: Server, request: Request, found: AsyncIterator[Found], links: dict[str, str], *, total: bool
) -> bytes | AsyncIterator[bytes]:
    """The Bundle of what `found` yields; `links` by relation; `total` counts the matches, once they are all known."""
    pieces = _chunked(_pieces(server, request, found, links, total))
    head = b""
    async for chunk in pieces:
        head += chunk
        if len(head) > STREAMED_FROM and not request.in_bundle:
            return _resumed(head, pieces)
    return head


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
    yield b"".join(gathered)


async def _pieces(
    server: Server, request: Request, found: AsyncIterator[Found], links: dict[str, str], total: bool
) -> AsyncIterator[bytes]:
    link = [{"relation": relation, "url": url} for relation, url in links.items()]
    yield b'{"resourceType":"Bundle","type":"searchset","link":%s' % json.dumps(link, separators=(",", ":")).encode()
    matches, separator = 0, b',"entry":['
    async for version, mode in found:
        matches += mode == "match"
        full_url = f"{request.base_url}/{version.resource_type}/{version.logical_id}".encode()
        yield b'%s{"fullUrl":"%s","resource":' % (separator, full_url)
        async for piece in _body(server, request, version):
            yield piece
        yield b',"search":{"mode":"%s"}}' % mode.encode()
        separator = b","
    if separator == b",":
        yield b"]"
    # R4 Bundle.total counts matches only; it stands last because it is known last.
    yield b',"total":%d}' % matches if total else b"}"


async def _body(server: Server, request: Request, version: StoredVersion) -> AsyncIterator[bytes]:
    """The resource as JSON, with what is stored outside the row back in its place."""
    body, blob = version.body or b"", version.blob
    if blob is None:
        yield body
        return
    yield body[: blob.offset]
    async for chunk in server.store.read_blob(request.scope, version):
        yield b64encode(chunk)
    yield body[blob.offset :]
