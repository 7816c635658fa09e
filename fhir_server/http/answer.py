"""Send an interaction's Response over ASGI: headers, formatting, compression, streaming.

R4 http.html#mime-type (explicit charset), #parameters (_pretty); RFC 9110 section 9.3.2 (HEAD).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

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


async def send_answer(
    send: Send,
    response: Response,
    *,
    json_type: str,
    accept_encoding: str,
    pretty: bool,
    head: bool,
    extra: HeaderList,
) -> int:
    """Send `response`; `json_type` stands in for FHIR JSON when the client asked for another name of it.

    Returns:
        The number of body bytes sent.
    """
    headers = _headers(response, json_type)
    headers += extra
    body = response.body
    if not isinstance(body, bytes):
        return await _send_stream(send, response, body, headers, head=head)
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
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if head or response.status == 304:
        body = b""
    await send({"type": "http.response.body", "body": body})
    return len(body)


def _headers(response: Response, json_type: str) -> HeaderList:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers.items()
    ]
    if response.body:
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


async def _send_stream(
    send: Send, response: Response, stream: AsyncIterator[bytes], headers: HeaderList, *, head: bool
) -> int:
    size = 0
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not head:
        async for chunk in stream:
            size += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return size
