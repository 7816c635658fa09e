"""Media types asked for and sent (R4 http.html#mime-type, #parameters, #version-parameter)."""

from __future__ import annotations

import httpx
import pytest

from tests.http.trivial import PATIENT, TableDispatch

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        (None, "application/fhir+json"),
        ("*/*", "application/fhir+json"),
        ("application/*", "application/fhir+json"),
        (FIREFOX, "application/fhir+json"),
        ("application/fhir+json", "application/fhir+json"),
        ("application/fhir+json; fhirVersion=4.0", "application/fhir+json"),
        ("application/fhir+xml, application/fhir+json;q=0.5", "application/fhir+json"),
        ("application/json", "application/json"),
        ("text/json", "text/json"),
        ("APPLICATION/JSON", "application/json"),
        ("application/json;q=0.5, application/fhir+json", "application/fhir+json"),
    ],
)
async def test_json_is_sent_under_the_name_asked_for(client: httpx.AsyncClient, accept: str | None, sent: str) -> None:
    answer = await client.get("/fhir/Patient/p1", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.content) == (200, PATIENT)
    assert answer.headers["content-type"] == f"{sent};charset=UTF-8"


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "application/xml, text/turtle",
        "text/html",
        "application/fhir+json;q=0",
        "application/fhir+json;q=x",
        "application/fhir+json; fhirVersion=3.0",
    ],
)
async def test_what_cannot_be_sent_is_406(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/fhir/Patient/p1", headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize("name", ["json", "application/json", "application%2Ffhir%2Bjson", "application/fhir+json"])
async def test_format_overrides_accept(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/fhir/Patient/p1?_format={name}", headers={"Accept": "application/fhir+xml"})
    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["xml", "text/xml", "application/fhir%2Bxml", "ttl", "html"])
async def test_other_formats_are_406(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/fhir/Patient/p1?_format={name}", headers={"Accept": "*/*"})
    assert answer.status_code == 406
    assert "JSON" in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "Patient", "application/fhir+json"),
        ("POST", "Patient", "application/fhir+json; charset=utf-8; fhirVersion=4.0"),
        ("PUT", "Patient/p1", "application/json"),
        ("PATCH", "Patient/p1", "application/json-patch+json"),
        ("POST", "Binary", "application/pdf"),
        ("PUT", "Binary/b1", "application/xml"),
    ],
)
async def test_bodies_of_these_types_reach_the_interaction(
    client: httpx.AsyncClient, dispatch: TableDispatch, method: str, path: str, content_type: str
) -> None:
    await client.request(method, f"/fhir/{path}", content=b"body", headers={"Content-Type": content_type})
    assert (dispatch.last.method, dispatch.last.path, dispatch.last.body) == (method, path, b"body")


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "Patient", "application/fhir+xml"),
        ("POST", "Patient", "application/x-www-form-urlencoded"),
        ("POST", "Patient", None),
        ("POST", "Patient", "application/fhir+json; charset=iso-8859-1"),
        ("POST", "Patient", "application/fhir+json; fhirVersion=5.0"),
        ("PATCH", "Patient/p1", "application/fhir+xml"),
        ("PATCH", "Patient/p1", "application/xml-patch+xml"),
        ("POST", "Patient/_search", "application/fhir+json"),
    ],
)
async def test_other_bodies_are_415(
    client: httpx.AsyncClient, dispatch: TableDispatch, method: str, path: str, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await client.request(method, f"/fhir/{path}", content=b"body", headers=headers)
    assert (answer.status_code, dispatch.requests) == (415, [])


async def test_a_search_form_joins_the_query(client: httpx.AsyncClient, dispatch: TableDispatch) -> None:
    await client.post(
        "/fhir/Patient/_search?_count=5",
        content="name=D%C3%BCrer+A&active=true",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert dispatch.last.query == [("_count", "5"), ("name", "Dürer A"), ("active", "true")]
    assert dispatch.last.body == b""


async def test_the_content_of_a_binary_may_be_of_any_type(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/Binary/b1", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.content) == (200, b"<p>letter</p>")
    assert answer.headers["content-type"] == "text/html"
