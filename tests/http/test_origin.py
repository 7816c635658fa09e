"""Requests made by pages of other sites, and headers that stand twice (WHATWG Fetch; RFC 9110 5.3, 7.2)."""

from __future__ import annotations

import httpx
import pytest

from tests.http.trivial import TableDispatch, application, client_of

BODY = b'{"resourceType":"Patient"}'
JSON = ("Content-Type", "application/fhir+json")
EVIL = ("Origin", "http://evil.example")
OWN = ("Origin", "https://fhir.example.org")


async def status(client: httpx.AsyncClient, method: str, *headers: tuple[str, str]) -> int:
    body = BODY if method == "POST" else None
    answer = await client.request(method, "/fhir/Patient/p1", content=body, headers=list(headers))
    if answer.status_code >= 400:
        assert answer.json()["resourceType"] == "OperationOutcome"
    return answer.status_code


@pytest.mark.parametrize(
    "headers",
    [
        [EVIL],
        [("Origin", "null")],
        [("Origin", "http://localhost:9999")],
        [("Origin", "http://[")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
    ],
)
async def test_a_page_of_another_site_may_not_write(client: httpx.AsyncClient, headers: list[tuple[str, str]]) -> None:
    assert await status(client, "POST", JSON, *headers) == 403
    assert await status(client, "DELETE", *headers) == 403
    assert await status(client, "GET", *headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "http://localhost")],
        [("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none")],
    ],
)
async def test_own_pages_and_other_programs_may(client: httpx.AsyncClient, headers: list[tuple[str, str]]) -> None:
    assert await status(client, "POST", JSON, *headers) == 200


async def test_an_origin_that_cors_allows_may(dispatch: TableDispatch) -> None:
    async for client in client_of(application(dispatch, cors_origins="http://evil.example")):
        assert await status(client, "POST", JSON, EVIL, ("Sec-Fetch-Site", "cross-site")) == 200
        assert await status(client, "POST", JSON, ("Origin", "http://other.example")) == 403


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1:8080", 200),
        ("127.0.0.1", 200),
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("[::1]:8080", 200),
        ("[::1", 403),
        ("fhir.localhost", 200),
    ],
)
async def test_a_name_pointed_at_loopback_reads_nothing(client: httpx.AsyncClient, host: str, expected: int) -> None:
    assert await status(client, "GET", ("Host", host)) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "https://fhir.example.org/fhir"},
        {"host": "0.0.0.0", "insecure_no_auth": True},
    ],
)
async def test_a_public_name_can_be_given(dispatch: TableDispatch, settings: dict[str, object]) -> None:
    async for client in client_of(application(dispatch, **settings)):
        assert await status(client, "GET", ("Host", "fhir.example.org")) == 200
        assert await status(client, "POST", JSON, ("Host", "fhir.example.org"), OWN) == 200


async def test_a_page_of_the_public_name_may_write_though_the_proxy_names_another_host(
    dispatch: TableDispatch,
) -> None:
    async for client in client_of(application(dispatch, base_url="https://fhir.example.org/fhir")):
        assert await status(client, "POST", JSON, ("Host", "127.0.0.1:8080"), OWN) == 200
    forwarded = [("X-Forwarded-Host", "fhir.example.org"), ("X-Forwarded-Proto", "https")]
    async for client in client_of(application(dispatch, trusted_proxies="127.0.0.1")):
        assert await status(client, "POST", JSON, OWN, *forwarded) == 200
        assert await status(client, "POST", JSON, EVIL, *forwarded) == 403
        # What did not come through the proxy is looked at as without one.
        assert await status(client, "GET", ("Host", "evil.example")) == 403
        assert await status(client, "POST", JSON, ("Host", "evil.example"), EVIL) == 403


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Forwarded-Proto", "javascript"), ("X-Forwarded-Host", "h.example")],
        [("X-Forwarded-Host", 'a b"><x')],
        [("X-Forwarded-Host", "h.example"), ("X-Forwarded-Prefix", "/a?b")],
    ],
)
async def test_what_a_proxy_passes_on_must_be_an_address(
    dispatch: TableDispatch, headers: list[tuple[str, str]]
) -> None:
    async for client in client_of(application(dispatch, trusted_proxies="127.0.0.1")):
        await client.get("/fhir/Patient/p1", headers=headers)
    assert dispatch.last.base_url == "http://127.0.0.1:8080/fhir"


async def test_no_host_and_no_origin_are_not_the_same(client: httpx.AsyncClient) -> None:
    assert await status(client, "POST", JSON, ("Host", ""), ("Origin", "null")) == 403


@pytest.mark.parametrize("name", ["If-None-Exist", "Content-Type", "X-Security-Context"])
async def test_a_header_of_one_value_may_not_stand_twice(client: httpx.AsyncClient, name: str) -> None:
    """The last would win: two criteria, and one is passed over."""
    answer = await client.post("/fhir/Patient/p1", content=BODY, headers=[JSON, (name, "a=1"), (name, "b=2")])
    assert answer.status_code == 400
    assert name.lower() in answer.text


async def test_lists_are_joined(client: httpx.AsyncClient, dispatch: TableDispatch) -> None:
    headers = [("If-Match", 'W/"1"'), ("If-Match", 'W/"5"'), ("Prefer", "return=minimal"), ("Prefer", "a")]
    await client.delete("/fhir/Patient/p1", headers=headers)
    assert dispatch.last.headers["if-match"] == 'W/"1", W/"5"'
    assert dispatch.last.headers["prefer"] == "return=minimal, a"


async def test_criteria_may_be_raw_utf_8(client: httpx.AsyncClient, dispatch: TableDispatch) -> None:
    async def create(criteria: bytes) -> int:
        headers = [(b"Content-Type", b"application/fhir+json"), (b"If-None-Exist", criteria)]
        return (await client.post("/fhir/Patient/p1", content=BODY, headers=headers)).status_code

    assert await create("name=José".encode()) == 200
    assert dispatch.last.headers["if-none-exist"] == "name=José"
    assert await create("name=José".encode("latin-1")) == 400
