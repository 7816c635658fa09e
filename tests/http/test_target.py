"""Hostile and odd URLs."""

from __future__ import annotations

import httpx
import pytest

from fhir_server.errors import FhirError
from fhir_server.http.target import decode_path
from fhir_server.model.url import decode_query
from tests.http.trivial import TableDispatch, application


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"", ""),
        (b"/", ""),
        (b"/Patient", "Patient"),
        (b"/Patient/", "Patient"),
        (b"/Patient/p%311", "Patient/p11"),
        (b"/Patient/%C3%A9", "Patient/é"),
        (b"/Patient/..p", "Patient/..p"),
        (b"/Patient/1/_history/2", "Patient/1/_history/2"),
    ],
)
def test_paths_are_decoded(raw: bytes, path: str) -> None:
    assert decode_path(raw) == path


@pytest.mark.parametrize(
    "raw",
    [
        b"/Patient/%FF",
        b"/Patient/\xff",
        b"/Patient/%00",
        b"/Patient/%0A",
        b"/Patient/a%2Fb",
        b"/Patient//p1",
        b"//Patient",
        b"/../etc/passwd",
        b"/Patient/../../x",
        b"/Patient/%2e%2e/x",
        b"/./Patient",
    ],
)
def test_hostile_paths_are_400(raw: bytes) -> None:
    with pytest.raises(FhirError) as refusal:
        decode_path(raw)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", []),
        (b"a=1&b", [("a", "1"), ("b", "")]),
        (b"a=1&&a=2", [("a", "1"), ("a", "2")]),
        (b"code=http%3A%2F%2Floinc.org%7C1-2", [("code", "http://loinc.org|1-2")]),
        (b"name=a+b%2B", [("name", "a b+")]),
        (b"a=b=c", [("a", "b=c")]),
    ],
)
def test_queries_are_decoded(raw: bytes, query: list[tuple[str, str]]) -> None:
    assert decode_query(raw) == query


@pytest.mark.parametrize("raw", [b"a=%FF", b"%C3=1", b"a=\xff", b"a=%00", b"&".join([b"a=1"] * 2001)])
def test_hostile_queries_are_400(raw: bytes) -> None:
    with pytest.raises(FhirError) as refusal:
        decode_query(raw)
    assert refusal.value.status == 400


async def test_a_long_url_is_414(client: httpx.AsyncClient, dispatch: TableDispatch) -> None:
    # httpx itself refuses such a URL: speak ASGI.
    app = application(dispatch)
    await app.start()
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/fhir/Patient",
        "raw_path": b"/fhir/Patient",
        "query_string": b"_id=" + b"1," * 40_000,
        "headers": [],
    }
    await app(scope, None, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 414
    assert b"_search" in sent[1]["body"]  # type: ignore[operator]


async def test_an_unknown_method_is_405(client: httpx.AsyncClient) -> None:
    answer = await client.request("PROPFIND", "/fhir/Patient")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


async def test_what_is_not_below_the_base_is_not_fhir(client: httpx.AsyncClient, dispatch: TableDispatch) -> None:
    answer = await client.get("/fhirx/Patient")
    assert (answer.status_code, dispatch.requests) == (404, [])
