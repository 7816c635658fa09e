"""Read a request's body within limits of size and time, decompressing it on the way.

RFC 9110 sections 8.4 (Content-Encoding) and 15.5.14 (413); 408 for a body that comes too slowly.
"""

from __future__ import annotations

import asyncio
import zlib
from time import monotonic

from fhir_server.errors import FhirError, TooLarge, UnsupportedMediaType
from fhir_server.http.asgi import Receive

SLOWEST_BYTES_PER_SECOND = 10_000
"""A body may take the time that this rate needs, on top of the allowed pause."""
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class ClientDisconnectedError(Exception):
    """The client went away before its request was complete; nobody is left to answer."""


async def read_body(
    headers: dict[str, str],
    receive: Receive,
    *,
    max_bytes: int,
    pause_seconds: float,
) -> bytes:
    """The decoded body.

    Raises:
        TooLarge: Content-Length, the bytes received or the decompressed bytes exceed `max_bytes`.
        FhirError: 408 when the body stalls, 400 when the compressed data is damaged or truncated.
        UnsupportedMediaType: the Content-Encoding is not gzip, deflate or identity.
        ClientDisconnectedError: the connection closed first.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity" and encoding not in _WINDOW_BITS:
        raise UnsupportedMediaType(f"Content-Encoding must be gzip, deflate or identity, not {encoding[:40]!r}.")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    body = await _receive_all(receive, max_bytes, pause_seconds)
    return body if encoding == "identity" or not body else _decompress(body, _WINDOW_BITS[encoding], max_bytes)


async def _receive_all(receive: Receive, max_bytes: int, pause_seconds: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    started = monotonic()
    while True:
        try:
            allowed = pause_seconds + size / SLOWEST_BYTES_PER_SECOND - (monotonic() - started)
            async with asyncio.timeout(allowed):
                message = await receive()
        except TimeoutError:
            raise FhirError(
                "The body came too slowly and was not read to its end.",
                status=408,
                code="timeout",
                headers={"Connection": "close"},
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _decompress(body: bytes, window_bits: int, max_bytes: int) -> bytes:
    if window_bits == 15 and body[0] & 0x0F != 8:
        window_bits = -15  # "deflate" without the zlib header is common (RFC 9110 section 8.4.1.2).
    decompressor = zlib.decompressobj(window_bits)
    try:
        # One byte over the limit is enough to know; a bomb is never unpacked further.
        plain = decompressor.decompress(body, max_bytes + 1)
    except zlib.error:
        raise FhirError("The compressed body is damaged.", code="structure") from None
    if len(plain) > max_bytes:
        raise _too_large(max_bytes)
    if not decompressor.eof:
        raise FhirError("The compressed body is truncated.", code="structure")
    if decompressor.unused_data:
        raise FhirError("There is data after the end of the compressed body.", code="structure")
    return plain


def _too_large(max_bytes: int) -> TooLarge:
    # The rest of the body is not read, so the connection cannot be used again.
    error = TooLarge(f"The body is larger than {max_bytes} bytes.")
    error.headers["Connection"] = "close"
    return error
