"""Request bodies: limits of size and time, and compression."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from fhir_server.errors import FhirError
from fhir_server.http.body import ClientDisconnectedError, read_body
from tests.http.trivial import TableDispatch, application, client_of

JSON = {"Content-Type": "application/fhir+json"}
LIMIT = 2048
BODY = b'{"resourceType":"Patient"}'


@pytest.fixture
async def client(dispatch: TableDispatch) -> AsyncIterator[httpx.AsyncClient]:
    async for client in client_of(application(dispatch, max_body_bytes=LIMIT)):
        yield client


async def in_parts(part: bytes, times: int) -> AsyncIterator[bytes]:
    for _ in range(times):
        yield part


async def test_a_body_within_the_limit_is_taken(client: httpx.AsyncClient, dispatch: TableDispatch) -> None:
    await client.post("/fhir/echo", content=in_parts(b"x" * 1024, 2), headers=JSON)
    assert len(dispatch.last.body) == LIMIT


@pytest.mark.parametrize("content", [b"x" * (LIMIT + 1), in_parts(b"x" * 1000, 3)], ids=["length", "chunked"])
async def test_a_larger_one_is_413(client: httpx.AsyncClient, dispatch: TableDispatch, content: bytes) -> None:
    answer = await client.post("/fhir/echo", content=content, headers=JSON)
    assert (answer.status_code, answer.headers["connection"], dispatch.requests) == (413, "close", [])


async def test_a_length_over_the_limit_is_refused_before_reading() -> None:
    async def receive() -> dict[str, object]:
        raise AssertionError("read nevertheless")

    with pytest.raises(FhirError) as refusal:
        await read_body({"content-length": "100"}, receive, max_bytes=99, pause_seconds=1)
    assert refusal.value.status == 413


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY, wbits=-15)),
        ("identity", BODY),
    ],
)
async def test_compressed_bodies_are_unpacked(
    client: httpx.AsyncClient, dispatch: TableDispatch, encoding: str, content: bytes
) -> None:
    answer = await client.post("/fhir/echo", content=content, headers={**JSON, "Content-Encoding": encoding})
    assert (answer.status_code, dispatch.last.body) == (200, BODY)


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)[:-6], 400),
        ("gzip", BODY, 400),
        ("gzip", gzip.compress(BODY, mtime=0) + b"more", 400),
        ("deflate", zlib.compress(BODY)[:-6], 400),
        ("gzip", gzip.compress(bytes(100 * LIMIT)), 413),
        ("br", BODY, 415),
    ],
    ids=["truncated", "not gzip", "trailing data", "truncated deflate", "bomb", "unknown coding"],
)
async def test_damaged_or_hostile_ones_are_refused(
    client: httpx.AsyncClient, dispatch: TableDispatch, encoding: str, content: bytes, status: int
) -> None:
    answer = await client.post("/fhir/echo", content=content, headers={**JSON, "Content-Encoding": encoding})
    assert (answer.status_code, dispatch.requests) == (status, [])
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_a_stalled_body_is_408() -> None:
    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(FhirError) as refusal:
        await read_body({}, receive, max_bytes=10, pause_seconds=0.01)
    assert refusal.value.status == 408


async def test_a_client_that_left_is_not_answered() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnectedError):
        await read_body({}, receive, max_bytes=10, pause_seconds=1)
