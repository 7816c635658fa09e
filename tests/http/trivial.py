"""An application over a store that holds nothing and a dispatch that answers from a table."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from fhir_server.app import create_app
from fhir_server.errors import ResourceNotFound
from fhir_server.http.application import Application
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.settings import Settings

PATIENT = b'{"resourceType":"Patient","id":"p1","multipleBirthInteger":1,"extension":[{"url":"u","valueDecimal":1.50}]}'


class EmptyStore:
    """The parts of a Store that the HTTP edge calls."""

    def __init__(self) -> None:
        self.closed = False
        self.failure: Exception | None = None

    async def close(self) -> None:
        self.closed = True

    async def ready(self) -> None:
        if self.failure:
            raise self.failure


class TableDispatch:
    """Answers by path; keeps the requests it got."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, Callable[[Request], Response]] = {
            "Patient/p1": lambda _: Response(200, PATIENT, {"ETag": 'W/"1"'}),
            "Patient": lambda _: Response(200, b'{"resourceType":"Bundle","type":"searchset"}'),
            "echo": lambda request: Response(200, request.body or b"{}"),
        }

    @property
    def last(self) -> Request:
        return self.requests[-1]

    async def __call__(self, _server: Server, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.get(request.path)
        if answer is None:
            raise ResourceNotFound("Nothing here.")
        return answer(request)


class PidDispatch:
    """Tells which process answered; a read is answered with 2 kB."""

    body = b'{"resourceType":"Patient","id":"p1","text":{"div":"%s"}}' % (b"x" * 2000)

    async def __call__(self, _server: Server, request: Request) -> Response:
        if request.path == "pid":
            return Response(200, b'{"pid":%d}' % os.getpid())
        if request.path == "stream":
            return Response(200, _chunks(), content_type="text/plain")
        if request.path == "fault":
            raise RuntimeError(f"a message quoting {request.query}")
        if request.path == "refusal":
            raise ResourceNotFound("Nothing here.", expression="Patient.name")
        return Response(
            200, request.body or self.body, {"ETag": 'W/"1"', "Last-Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}
        )


async def _chunks() -> AsyncIterator[bytes]:
    for n in range(3):
        yield b"chunk %d;" % n


def application(dispatch: TableDispatch, store: EmptyStore | None = None, **settings: Any) -> Application:
    async def open_server() -> Server:
        return Server(store or EmptyStore(), Settings(**settings))  # type: ignore[arg-type]

    return create_app(open_server, dispatch, first=False)


async def client_of(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    await app.start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await app.stop()
