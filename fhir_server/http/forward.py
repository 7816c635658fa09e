"""Hand requests that may write to the one writing process, over a local socket.

With SQLite one process writes for all (docs/decisions): the others answer reads themselves and send
everything else to it, whole, after their own checks of size and form. The answer comes back before
the client's does, so a read on the same process afterwards sees the write: all share one database file.

A message is its length (8 bytes, big-endian) and a pickle. Both ends are processes of one server and
the socket lies in a directory only its user may enter.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fhir_server.errors import FhirError, Overloaded
from fhir_server.http.endpoint import Dispatch
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.observability.failure import failed

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class _StreamFollows:
    """An answer whose body comes in messages of its own, an empty one last."""

    response: Response


class ForwardingDispatch:
    """A dispatch for a process that only reads."""

    def __init__(self, socket_path: Path, local: Dispatch) -> None:
        self._socket_path = socket_path
        self._local = local
        self._idle: list[Connection] = []

    async def __call__(self, server: Server, request: Request) -> Response:
        if not request.may_write:
            return await self._local(server, request)
        connection = await self._connect()
        try:
            await _send(connection[1], request)
            answer = await _receive(connection[0])
        except (OSError, EOFError, asyncio.IncompleteReadError):
            connection[1].close()
            raise Overloaded(
                "The writing process stopped during this request, which may or may not have been carried out. "
                "Look before you repeat it."
            ) from None
        except BaseException:
            # An answer still on its way would be taken for the next request's.
            connection[1].close()
            raise
        if isinstance(answer, _StreamFollows):
            return replace(answer.response, body=self._stream(connection))
        self._idle.append(connection)
        if isinstance(answer, FhirError):
            raise answer
        assert isinstance(answer, Response)
        return answer

    async def _connect(self) -> Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        try:
            return await asyncio.open_unix_connection(self._socket_path)
        except OSError:
            raise Overloaded("The writing process is restarting. Try again shortly.") from None

    async def _stream(self, connection: Connection) -> AsyncIterator[bytes]:
        complete = False
        try:
            while chunk := await _receive(connection[0]):
                yield chunk
            complete = True
        finally:
            if complete:
                self._idle.append(connection)
            else:
                connection[1].close()


class ForwardedRequests:
    """The writing process's end: carries out what the other processes send."""

    def __init__(self, socket_path: Path, server: Server, dispatch: Dispatch) -> None:
        self._socket_path = socket_path
        self._server = server
        self._dispatch = dispatch
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._socket_path.unlink(missing_ok=True)
        self._listener = await asyncio.start_unix_server(self._serve, self._socket_path)

    async def stop(self) -> None:
        """Take no more requests. Those being carried out are finished by the store's own close."""
        if self._listener is not None:
            self._listener.close()
        for writer in list(self._connections):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while True:
                await self._answer(writer, await _receive(reader))
        except (OSError, EOFError, asyncio.IncompleteReadError):
            return
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, request: Request) -> None:
        try:
            response = await self._dispatch(self._server, request)
        except FhirError as error:
            await _send(writer, error)
            return
        except Exception as error:
            await _send(writer, failed(error, request.headers.get("x-request-id", "")))
            return
        if isinstance(response.body, bytes):
            await _send(writer, response)
            return
        await _send(writer, _StreamFollows(replace(response, body=b"")))
        async for chunk in response.body:
            if chunk:
                await _send(writer, chunk)
        await _send(writer, b"")


async def _send(writer: asyncio.StreamWriter, message: object) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    writer.write(_LENGTH.pack(len(data)))
    writer.write(data)
    await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> Any:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301 (our own process, see above)
