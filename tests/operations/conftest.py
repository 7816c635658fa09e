"""A server with its operations, calls to them, and resources put straight into the store."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import OperationLevel, Request, Response, Server
from fhir_server.operations.served import served_operations
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.scope import ALL, Scope

BASE_URL = "http://test.example/fhir"
Json = dict[str, Any]
Put = Callable[..., Awaitable[list[StoredVersion]]]


class Operations:
    """Calls operations as the router does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.registry = served_operations(server.settings.canonical_base)

    async def send(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        scope: Scope = ALL,
    ) -> Response:
        *place, code = path.split("/")
        place += [None] * (4 - len(place))  # type: ignore[list-item]
        level: OperationLevel = "instance" if place[1] else "type" if place[0] else "system"
        request = Request(
            method,
            path,
            query or [],
            headers or {},
            b"" if body is None else msgspec.json.encode(body),
            base_url=BASE_URL,
            scope=scope,
        )
        return await self.registry.invoke(
            self.server, request, level, place[0] or None, place[1], place[3], code.removeprefix("$")
        )

    async def get(self, path: str, *query: tuple[str, str]) -> Json:
        return await content(await self.send("GET", path, list(query)))

    async def post(self, path: str, body: Any = None, *query: tuple[str, str], **headers: str) -> Json:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await content(await self.send("POST", path, list(query), body, sent))


async def content(response: Response) -> Json:
    """The resource in `response`, streamed or not."""
    body = response.body
    if not isinstance(body, bytes):
        body = b"".join([chunk async for chunk in body])
    resource: Json = msgspec.json.decode(body)
    return resource


@pytest.fixture
def operations(server: Server) -> Operations:
    return Operations(server)


@pytest.fixture
def put(server: Server) -> Put:
    """`await put(resource, ...)` stores them in one transaction, under their own ids."""

    async def store(*resources: Json) -> list[StoredVersion]:
        drafts = [prepare_for(server, copy.deepcopy(resource), resource["id"]) for resource in resources]

        async def work(transaction: Transaction) -> list[StoredVersion]:
            return [await transaction.put(draft) for draft in drafts]

        return await server.store.write(ALL, work)

    return store


@pytest.fixture
def delete(server: Server) -> Callable[[str, str], Awaitable[None]]:
    """`await delete("Patient", "1")`."""

    async def store(resource_type: str, logical_id: str) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.delete(resource_type, logical_id)

        await server.store.write(ALL, work)

    return store
