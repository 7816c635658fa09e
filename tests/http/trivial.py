"""An application over a store that holds nothing and a dispatch that answers from a table."""

from __future__ import annotations

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
