"""A read is stopped when its client goes away; a write is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fhir_server.http.asgi import Message
from fhir_server.http.base_url import BaseUrl
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.settings import Settings


class Endless:
    """A dispatch that never ends by itself."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = False
        self.finish = asyncio.Event()

    async def __call__(self, server: Server, request: Request) -> Response:
        self.started.set()
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return Response(200, b"{}")


async def exchange(dispatch: Endless, method: str, path: str, *, leaves: bool) -> list[Message]:
    """What the endpoint sends to a client that leaves while its request is carried out, or stays."""
    sent: list[Message] = []
    messages: list[Message] = [{"type": "http.request", "body": b"{}", "more_body": False}]
    staying = asyncio.Event()

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await dispatch.started.wait()
        if not leaves:
            await staying.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    settings = Settings(database="sqlite:///unused", content=False, access_log=False)
    endpoint = FhirEndpoint(Server(None, settings), dispatch, BaseUrl(settings, "http://127.0.0.1/fhir"))  # type: ignore[arg-type]
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/fhir+json")]
    if path.endswith("_search"):
        headers[1] = (b"content-type", b"application/x-www-form-urlencoded")
    scope: dict[str, Any] = {
        "type": "http", "method": method, "raw_path": f"/fhir/{path}".encode(), "query_string": b"", "headers": headers,
        "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await endpoint(scope, receive, send)
    return sent


@pytest.mark.parametrize(("method", "path"), [("GET", "Patient"), ("POST", "Patient/_search"), ("GET", "Patient/1")])
async def test_a_read_is_cancelled(method: str, path: str) -> None:
    dispatch = Endless()
    async with asyncio.timeout(10):
        assert await exchange(dispatch, method, path, leaves=True) == []
    assert dispatch.cancelled
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_write_goes_on() -> None:
    dispatch = Endless()
    running = asyncio.create_task(exchange(dispatch, "POST", "Patient", leaves=True))
    await dispatch.started.wait()
    dispatch.finish.set()
    sent = await running
    assert not dispatch.cancelled
    assert sent[0]["status"] == 200


async def test_a_client_that_waits_is_answered() -> None:
    dispatch = Endless()
    running = asyncio.create_task(exchange(dispatch, "GET", "Patient", leaves=False))
    await dispatch.started.wait()
    asyncio.get_running_loop().call_later(0.2, dispatch.finish.set)
    sent = await running
    assert sent[0]["status"] == 200
