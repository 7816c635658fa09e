"""The FHIR endpoint in this process (R4 http.html)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.http.trivial import PATIENT, TableDispatch, application, client_of


@pytest.fixture
def dispatch() -> TableDispatch:
    return TableDispatch()


@pytest.fixture
async def client(dispatch: TableDispatch) -> AsyncIterator[httpx.AsyncClient]:
    async for client in client_of(application(dispatch)):
        yield client


async def test_a_read_gives_the_bytes_of_the_interaction(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/p1")
    assert (answer.status_code, answer.content) == (200, PATIENT)
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["content-type"] == "application/fhir+json;charset=UTF-8"


async def test_live_does_not_ask_the_store(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).json() == {"status": "live"}


async def test_a_refusal_is_an_operation_outcome(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/unknown")
    assert answer.status_code == 404
    assert answer.json() == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found", "diagnostics": "Nothing here."}],
    }
