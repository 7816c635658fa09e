"""A client of the dispatcher: one store per module and engine, so tests keep to names of their own (`name`)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
import pytest_asyncio

from fhir_server.errors import FhirError
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.base import Store

BASE_URL = "http://test.example/fhir"
SYSTEM = "http://test.example/numbers"
Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back; a refusal is an answer with an OperationOutcome."""

    status: int
    headers: dict[str, str]
    body: bytes
    content_type: str

    @property
    def resource(self) -> Json:
        found: Json = msgspec.json.decode(self.body)
        return found

    @property
    def id(self) -> str:
        """The logical id in Location."""
        return self.headers["Location"].removeprefix(f"{BASE_URL}/").split("/")[1]

    @property
    def issue(self) -> Json:
        """The first issue of the OperationOutcome."""
        assert self.resource["resourceType"] == "OperationOutcome"
        found: Json = self.resource["issue"][0]
        return found

    @property
    def entries(self) -> list[Json]:
        """The entries of the Bundle."""
        assert self.resource["resourceType"] == "Bundle"
        found: list[Json] = self.resource.get("entry", [])
        return found

    @property
    def resources(self) -> list[Json]:
        return [entry["resource"] for entry in self.entries if "resource" in entry]

    @property
    def ids(self) -> list[str]:
        """The ids of the resources in the Bundle, in its order."""
        return [resource["id"] for resource in self.resources]

    def link(self, relation: str) -> str | None:
        """The Bundle's link, relative to the base."""
        for link in self.resource.get("link", []):
            if link["relation"] == relation:
                return str(link["url"]).removeprefix(BASE_URL).removeprefix("/")
        return None


class Client:
    """Sends requests as the HTTP layer does."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def send(
        self, method: str, url: str, body: Any = None, *, query: list[tuple[str, str]] | None = None, **headers: str
    ) -> Answer:
        """`url` below the base; `body` is JSON content or bytes; headers as `if_match="..."`.

        `query`: more parameters, already decoded.
        """
        path, _, text = url.partition("?")
        sent = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if sent:
            named.setdefault("content-type", "application/fhir+json")
        pairs = parse_qsl(text, keep_blank_values=True) + (query or [])
        request = Request(method, path, pairs, named, sent, base_url=BASE_URL)
        try:
            response = await dispatch(self.server, request)
        except FhirError as error:
            return Answer(error.status, error.headers, msgspec.json.encode(error.as_json()), "application/fhir+json")
        content = response.body
        if not isinstance(content, bytes):
            content = b"".join([part async for part in content])
        return Answer(response.status, response.headers, content, response.content_type)

    async def get(self, url: str, **headers: str) -> Answer:
        return await self.send("GET", url, **headers)

    async def post(self, url: str, body: Any = None, **headers: str) -> Answer:
        return await self.send("POST", url, body, **headers)

    async def put(self, url: str, body: Any = None, **headers: str) -> Answer:
        return await self.send("PUT", url, body, **headers)

    async def patch(self, url: str, body: Any = None, **headers: str) -> Answer:
        return await self.send("PATCH", url, body, **{"content_type": "application/json-patch+json", **headers})

    async def delete(self, url: str, **headers: str) -> Answer:
        return await self.send("DELETE", url, **headers)

    async def stored(self, resource: Json) -> Answer:
        """PUT under the resource's own id; it must succeed."""
        answer = await self.put(f"{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status in (200, 201), answer.body
        return answer

    def with_settings(self, **changed: Any) -> Client:
        """The same store behind other settings."""
        settings = self.server.settings.model_copy(update=changed)
        return Client(Server(self.server.store, settings, self.server.operations))


def patient(logical_id: str | None = None, **elements: Any) -> Json:
    return {"resourceType": "Patient"} | ({"id": logical_id} if logical_id else {}) | elements


def numbered(name: str, logical_id: str | None = None, **elements: Any) -> Json:
    """A Patient with the identifier SYSTEM|name."""
    return patient(logical_id, identifier=[{"system": SYSTEM, "value": name}], **elements)


@pytest.fixture(scope="module")
def database_url(engine: str, new_database: Callable[[str], str]) -> str:
    return new_database(engine)


@pytest.fixture(scope="module")
def settings(database_url: str) -> Settings:
    return Settings(database=database_url, content=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(settings: Settings) -> AsyncIterator[Store]:
    store = await open_store(settings)
    yield store
    await store.close()


@pytest.fixture(scope="module")
def client(store: Store, settings: Settings) -> Client:
    return Client(Server(store, settings))


@pytest.fixture
def name() -> str:
    """A name no other test uses: good as an id, an identifier and a family name."""
    return f"n{uuid.uuid4().hex}"
