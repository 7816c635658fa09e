"""Answers as they are sent: headers, HEAD, formatting, compression, streams, failures, CORS (R4 http.html)."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest
import zstandard

from fhir_server.errors import Overloaded
from fhir_server.interactions.exchange import Response
from tests.http.trivial import BUNDLE, PATIENT, EmptyStore, TableDispatch, application, client_of


async def test_a_read_gives_the_bytes_of_the_interaction(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/p1")
    assert (answer.status_code, answer.content) == (200, PATIENT)
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["content-length"] == str(len(PATIENT))
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "server" not in answer.headers


async def test_head_is_get_without_the_body(client: httpx.AsyncClient, dispatch: TableDispatch) -> None:
    answer = await client.head("/fhir/Patient/p1")
    assert (answer.status_code, answer.content, dispatch.last.method) == (200, b"", "GET")
    assert (answer.headers["etag"], answer.headers["content-length"]) == ('W/"1"', str(len(PATIENT)))


async def test_pretty_keeps_every_digit(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/p1?_pretty=true")
    assert answer.text.splitlines()[:3] == ["{", '  "resourceType": "Patient",', '  "id": "p1",']
    assert '"valueDecimal": 1.50' in answer.text
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("gzip, zstd", "zstd"),
        ("*", "zstd"),
        ("zstd;q=0, gzip;q=0.5", "gzip"),
        ("br", None),
        ("gzip;q=0.0", None),
    ],
)
async def test_large_answers_are_compressed(client: httpx.AsyncClient, accepted: str, encoding: str | None) -> None:
    async with client.stream("GET", "/fhir/Patient", headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["content-length"] == str(len(raw))
    plain = {"gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompress}.get(encoding or "", bytes)
    assert plain(raw) == BUNDLE


async def test_small_answers_are_not(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/p1", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


async def test_a_stream_is_passed_on(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Binary/b2", headers={"Accept": "application/pdf"})
    assert answer.content == b"chunk 0;chunk 1;chunk 2;"


async def test_the_content_of_a_binary_never_runs_as_a_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Binary/b1", headers={"Accept": "text/html"})
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_no_content_has_no_content_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/none")
    assert answer.status_code == 204
    assert not {"content-type", "content-length"} & set(answer.headers)


async def test_an_answer_that_cannot_be_sent_is_an_operation_outcome(
    client: httpx.AsyncClient, dispatch: TableDispatch
) -> None:
    dispatch.answers["Patient/broken"] = lambda _: Response(200, b'{"a":')
    answer = await client.get("/fhir/Patient/broken?_pretty=true")
    assert answer.status_code == 500
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.headers["x-request-id"] in answer.text


async def test_a_refusal_is_an_operation_outcome(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Patient/unknown")
    assert answer.status_code == 404
    assert answer.json() == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found", "diagnostics": "Nothing here."}],
    }


async def test_a_failure_of_ours_tells_its_id_only(
    client: httpx.AsyncClient, dispatch: TableDispatch, log_lines: list[bytes]
) -> None:
    dispatch.answers["Patient/p1"] = lambda request: json.loads("Winterbottom")
    answer = await client.get("/fhir/Patient/p1?name=Winterbottom", headers={"X-Request-Id": "r-1"})
    assert answer.status_code == 500
    assert answer.json()["issue"][0]["code"] == "exception"
    assert "r-1" in answer.json()["issue"][0]["diagnostics"]
    assert "Winterbottom" not in answer.text
    failure = next(json.loads(line) for line in log_lines if b"request failed" in line)
    assert (failure["request_id"], failure["trace"][0]) == ("r-1", "JSONDecodeError")
    assert b"Winterbottom" not in b"".join(log_lines)


@pytest.mark.parametrize(("sent", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ('"}', False)])
async def test_a_harmless_request_id_is_kept(client: httpx.AsyncClient, sent: str, kept: bool) -> None:
    answer = await client.get("/fhir/Patient/p1", headers={"X-Request-Id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept


async def test_each_request_gets_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/fhir/Patient/p1")).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("setting", "origin", "allowed"),
    [
        ("", "https://app.example", None),
        ("https://app.example", "https://app.example", "https://app.example"),
        ("https://app.example", "https://evil.example", None),
        ("*", "https://any.example", "*"),
    ],
)
async def test_cross_origin_requests_follow_the_setting(
    dispatch: TableDispatch, setting: str, origin: str, allowed: str | None
) -> None:
    async for client in client_of(application(dispatch, cors_origins=setting)):
        preflight = await client.options("/fhir/Patient", headers={"Origin": origin})
        answer = await client.get("/fhir/Patient/p1", headers={"Origin": origin})
    assert preflight.status_code == 204
    assert ("access-control-allow-methods" in preflight.headers) is (allowed is not None)
    assert answer.headers.get("access-control-allow-origin") == allowed


@pytest.mark.parametrize(
    ("settings", "headers", "base"),
    [
        ({}, {"Host": "localhost"}, "http://127.0.0.1:8080/fhir"),
        ({"host": "0.0.0.0", "base_url": "https://h.example/r4"}, {"Host": "evil.example"}, "https://h.example/r4"),
        ({}, {"X-Forwarded-Host": "evil.example"}, "http://127.0.0.1:8080/fhir"),
        ({"base_url": "https://h.example/r4/"}, {}, "https://h.example/r4"),
        ({"trusted_proxies": "127.0.0.0/8"}, {"X-Forwarded-Host": "h.example"}, "https://h.example/fhir"),
        (
            {"trusted_proxies": "127.0.0.1"},
            {"X-Forwarded-Host": "h.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/a"},
            "http://h.example/a/fhir",
        ),
        ({"trusted_proxies": "10.0.0.1"}, {"X-Forwarded-Host": "h.example"}, "http://127.0.0.1:8080/fhir"),
    ],
)
async def test_links_have_the_base_that_settings_give(
    dispatch: TableDispatch, settings: dict[str, str], headers: dict[str, str], base: str
) -> None:
    async for client in client_of(application(dispatch, **settings)):
        await client.get("/fhir/Patient/p1", headers=headers)
    assert dispatch.last.base_url == base


async def test_live_does_not_ask_the_store_and_ready_does(dispatch: TableDispatch) -> None:
    store = EmptyStore()
    store.failure = Overloaded("The database is away.")
    async for client in client_of(application(dispatch, store)):
        assert (await client.get("/health/live")).json() == {"status": "live"}
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "The database is away.")
        store.failure = None
        assert (await client.get("/health/ready")).status_code == 200
    assert store.closed


async def test_the_landing_page_and_documentation_are_there(client: httpx.AsyncClient) -> None:
    assert "http://127.0.0.1:8080/fhir" in (await client.get("/")).text
    assert "/health/live" in (await client.get("/openapi.json")).json()["paths"]
