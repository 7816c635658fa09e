"""Send an interaction's Response over ASGI: headers, formatting, compression, streaming.

R4 http.html#mime-type (explicit charset), #parameters (_pretty); RFC 9110 section 9.3.2 (HEAD).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from fhir_server.http.asgi import HeaderList, Send
from fhir_server.http.compression import LEAST_BYTES, compress, encoding_for, is_compressible
from fhir_server.interactions.exchange import FHIR_JSON, Response

# Patient data: kept by the client at most, and revalidated by ETag before each use.
_CACHING = (b"cache-control", b"private, no-cache")
_VARY = (b"vary", b"Accept, Accept-Encoding")
_NOSNIFF = (b"x-content-type-options", b"nosniff")
# A Binary may be somebody's HTML: it must never run as a page of this server.
_SANDBOX = (b"content-security-policy", b"default-src 'none'; sandbox")
_CONTENT_TYPES = {
    name: (b"content-type", f"{name};charset=UTF-8".encode()) for name in (FHIR_JSON, "application/json", "text/json")
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it goes over the wire."""

    status: int
    headers: HeaderList
    body: bytes | AsyncIterator[bytes]


def compose_answer(
    response: Response, *, json_type: str, accept_encoding: str, pretty: bool, extra: HeaderList
) -> Answer:
    """Format and compress; `json_type` stands in for FHIR JSON when the client asked for another name of it."""
    headers = _headers(response, json_type)
    headers += extra
    body = response.body
    if not isinstance(body, bytes):
        return Answer(response.status, headers, body)
    if pretty and body and response.content_type == FHIR_JSON:
        # Reformats the text: numbers stay digit for digit as stored.
        body = msgspec.json.format(body, indent=2)
    if len(body) >= LEAST_BYTES and accept_encoding and is_compressible(response.content_type):
        encoding = encoding_for(accept_encoding)
        if encoding:
            body = compress(body, encoding)
            headers.append((b"content-encoding", encoding.encode()))
    if response.status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(body)))
    return Answer(response.status, headers, body)


async def send_answer(send: Send, answer: Answer, *, head: bool) -> int:
    """Send `answer`, without its body for a HEAD request; the number of body bytes sent."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    body = b"" if head or answer.status == 304 else answer.body
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return len(body)
    size = 0
    async for chunk in body:
        size += len(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return size


def _headers(response: Response, json_type: str) -> HeaderList:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers.items()
    ]
    if response.body or response.content_type != FHIR_JSON:
        if response.content_type == FHIR_JSON:
            headers.append(_CONTENT_TYPES[json_type])
        else:
            headers.append((b"content-type", response.content_type.encode("latin-1", "replace")))
            headers.append(_SANDBOX)
            headers.append(_NOSNIFF)
    headers.append(_VARY)
    if "Cache-Control" not in response.headers:
        headers.append(_CACHING)
    return headers
