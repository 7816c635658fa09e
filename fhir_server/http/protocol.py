"""uvicorn's HTTP protocol with limits of our own: slow or endless heads, and refusals as OperationOutcomes."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fhir_server.errors import FhirError

LONGEST_JOINED_BYTES = 65_536
"""A larger body is sent after its head rather than copied to it."""
MAX_HEAD_BYTES = 262_144
"""Longest request line and headers together; more is a 431 (RFC 6585 section 5)."""


class _Transport:
    """A transport that sends the head of an answer together with the start of its body: one system call, one packet."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            return  # the client has gone; what is left of the answer is for nobody
        if self._head:
            data, self._head = self._join(data), b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that has no body."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _join(self, data: bytes) -> bytes:
        if len(data) > LONGEST_JOINED_BYTES:
            self._transport.write(self._head)
            return data
        return self._head + data


class FhirProtocol(HttpToolsProtocol):
    """One connection. `waiting_since` is the loop time at which the current head began, None within a request."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting_since: float | None = self.loop.time()
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport: Any = _Transport(transport)

    def on_response_complete(self) -> None:
        self.transport.flush()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.waiting_since is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, f"The request's head is longer than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.waiting_since = self.loop.time()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self.waiting_since = None
        super().on_headers_complete()

    def close_if_stalled(self, now: float, seconds: float) -> None:
        """Close the connection when its head has been incomplete for `seconds`."""
        if self.waiting_since is not None and now - self.waiting_since > seconds and not self.transport.is_closing():
            self._refuse(408, "The request's head came too slowly.")

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "The request is not valid HTTP/1.1.")

    def _refuse(self, status: int, diagnostics: str) -> None:
        body = orjson.dumps(FhirError(diagnostics, status=status, code="structure").as_json())
        head = b"content-type: application/fhir+json;charset=UTF-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()


async def close_stalled_connections(connections: set[Any], seconds: float) -> None:
    """Look at all connections from time to time, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(min(seconds / 4, 5.0))
        now = loop.time()
        for connection in list(connections):
            connection.close_if_stalled(now, seconds)
