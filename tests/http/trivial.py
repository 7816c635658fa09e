"""Applications over a store that holds nothing, and dispatches that need none."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from fhir_server.app import create_app
from fhir_server.errors import ResourceNotFound
from fhir_server.http.application import Application
from fhir_server.interactions.exchange import FHIR_JSON, Request, Response, Server
from fhir_server.settings import Settings
from fhir_server.storage.async_jobs import AsyncJob
from fhir_server.storage.parameters import ParameterSet
from fhir_server.storage.rows import EXTRACTION

PATIENT = b'{"resourceType":"Patient","id":"p1","extension":[{"url":"u","valueDecimal":1.50}]}'
BUNDLE = b'{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % b",".join([PATIENT] * 100)


class NoJobs:
    """A store's Reindexing, or its long requests, with nothing to do."""

    async def claim(self, _owner: str, _lease_seconds: float) -> None:
        return None

    async def expire(self, _older_than_seconds: float) -> list[AsyncJob]:
        return []


class EmptyStore:
    """The parts of a Store that the HTTP edge and the application call."""

    reindexing = NoJobs()
    async_jobs = NoJobs()

    def __init__(self) -> None:
        self.closed = False
        self.failure: Exception | None = None

    async def close(self) -> None:
        self.closed = True

    async def ready(self) -> None:
        if self.failure:
            raise self.failure

    async def epoch(self) -> int:
        return 0

    async def parameters(self) -> ParameterSet:
        return ParameterSet(0, EXTRACTION, ())

    async def vacuum(self, _horizon_seconds: int) -> int:
        return 0


class TableDispatch:
    """Answers by path; keeps the requests it got."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, Callable[[Request], Response]] = {
            "Patient/p1": lambda _: Response(200, PATIENT, {"ETag": 'W/"1"'}),
            "Patient": lambda _: Response(200, BUNDLE),
            "Patient/none": lambda _: Response(204),
            "Binary/b1": lambda _: Response(200, b"<p>letter</p>", content_type="text/html"),
            "Binary/b2": lambda _: Response(200, chunks(), content_type="application/pdf"),
            "echo": lambda request: Response(200, request.body),
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
            return Response(200, chunks(), content_type="text/plain")
        if request.path == "fault":
            raise RuntimeError(f"a message quoting {request.query} and {request.body!r}")
        if request.path == "refusal":
            raise ResourceNotFound("Nothing here.", expression="Patient.name")
        return Response(200, request.body or self.body, {"ETag": 'W/"1"'}, FHIR_JSON)


async def chunks() -> AsyncIterator[bytes]:
    for n in range(3):
        yield b"chunk %d;" % n


def application(dispatch: TableDispatch, store: EmptyStore | None = None, **settings: Any) -> Application:
    async def open_server() -> Server:
        return Server(store or EmptyStore(), Settings(**settings))  # type: ignore[arg-type]

    return create_app(open_server, dispatch, first=False)


async def client_of(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    await app.start()
    transport = httpx.ASGITransport(app)
    # A client that adds no headers of its own: each test says what it sends.
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        client.headers.clear()
        yield client
    await app.stop()
