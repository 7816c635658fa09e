"""Binary: R4 binary.html#rest, resource.html; content goes in and out as itself or as a resource."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

import pytest

from tests.interactions.conftest import BASE_URL, Client, Json

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = "application/fhir+json"
PNG = b"\x89PNG\r\n\x1a\n\x00\xff" * 3
SIZES = [0, 1, 65_535, 65_536, 65_537, 196_608, 196_609, 400_000]
"""Around 64 kB, from where content is stored beside the resource, and around the length of its pieces."""


def content(size: int) -> bytes:
    return (hashlib.sha256(b"content").digest() * (size // 32 + 1))[:size]


def binary(data: bytes, logical_id: str | None = None, **elements: object) -> Json:
    found: Json = {"resourceType": "Binary", "contentType": "image/png", **elements}
    if logical_id is not None:
        found["id"] = logical_id
    if data:
        found["data"] = b64encode(data).decode()
    return found


async def test_what_no_header_may_hold_is_encoded(client: Client, name: str) -> None:
    """RFC 9110 5.5: neither line ends nor other than ASCII; R4 allows both in a reference and a code."""
    await client.stored(
        {
            "resourceType": "Binary",
            "id": name,
            "contentType": "text/plain\nX-Evil: 1",
            "securityContext": {"reference": "Patient/1\r\nX-Evil: é"},
        }
    )
    answer = await client.get(f"Binary/{name}", accept="*/*")
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["X-Security-Context"] == "Patient/1%0D%0AX-Evil:%20%C3%A9"


class TestAsContent:
    async def test_comes_back_under_its_type(self, client: Client) -> None:
        created = await client.post("Binary", PNG, content_type="image/png")
        assert (created.status, created.headers["ETag"]) == (201, 'W/"1"')
        assert created.resource["contentType"] == "image/png"
        assert b64decode(created.resource["data"]) == PNG
        read = await client.get(f"Binary/{created.id}")
        assert (read.status, read.content_type, read.body) == (200, "image/png", PNG)
        assert read.headers["ETag"] == 'W/"1"'

    async def test_keeps_the_parameters_of_its_type(self, client: Client) -> None:
        created = await client.post("Binary", b"a;b", content_type="text/csv; charset=utf-8; header=present")
        assert (await client.get(f"Binary/{created.id}")).content_type == "text/csv; charset=utf-8; header=present"

    async def test_is_replaced_under_an_id(self, client: Client, name: str) -> None:
        first = await client.put(f"Binary/{name}", PNG, content_type="image/png")
        second = await client.put(f"Binary/{name}", b"plain", content_type="text/plain")
        assert (first.status, second.status) == (201, 200)
        read = await client.get(f"Binary/{name}")
        assert (read.content_type, read.body) == ("text/plain", b"plain")
        version = await client.get(f"Binary/{name}/_history/1")
        assert (version.content_type, version.body) == ("image/png", PNG)

    @pytest.mark.parametrize("content_type", ["", "nonsense", "image"])
    async def test_needs_a_type(self, client: Client, content_type: str) -> None:
        assert (await client.post("Binary", PNG, content_type=content_type)).status == 415

    @pytest.mark.parametrize("accept", [JSON, "application/json", f"text/html;q=0.1, {JSON};q=0.9"])
    async def test_is_a_resource_for_who_asks(self, client: Client, accept: str) -> None:
        """R4 binary.html#rest: the native form unless a FHIR type is asked for."""
        created = await client.post("Binary", PNG, content_type="image/png")
        for answer in (
            await client.get(f"Binary/{created.id}", accept=accept),
            await client.get(f"Binary/{created.id}?_format=json"),
            await client.get(f"Binary/{created.id}?_format={JSON}"),
        ):
            assert answer.content_type == JSON
            assert b64decode(answer.resource["data"]) == PNG

    @pytest.mark.parametrize("accept", ["*/*", "image/png", "image/*", "text/html"])
    async def test_is_itself_for_others(self, client: Client, accept: str) -> None:
        created = await client.post("Binary", PNG, content_type="image/png")
        assert (await client.get(f"Binary/{created.id}", accept=accept)).body == PNG

    async def test_not_modified(self, client: Client) -> None:
        created = await client.post("Binary", PNG, content_type="image/png")
        answer = await client.get(f"Binary/{created.id}", if_none_match='W/"1"')
        assert (answer.status, answer.body) == (304, b"")

    @pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "Text/HTML; charset=utf-8"])
    async def test_that_a_browser_would_run_is_a_download(self, client: Client, content_type: str) -> None:
        created = await client.post("Binary", b"<script/>", content_type=content_type)
        assert (await client.get(f"Binary/{created.id}")).headers["Content-Disposition"].startswith("attachment")


class TestAsResource:
    async def test_comes_back_as_content_too(self, client: Client, name: str) -> None:
        assert (await client.put(f"Binary/{name}", binary(PNG, name))).status == 201
        read = await client.get(f"Binary/{name}")
        assert (read.content_type, read.body) == ("image/png", PNG)

    async def test_needs_a_content_type_and_base64(self, client: Client) -> None:
        missing = await client.post("Binary", {"resourceType": "Binary", "data": "aGk="})
        assert (missing.status, missing.issue["expression"]) == (400, ["Binary.contentType"])
        wrong = await client.post("Binary", binary(b"") | {"data": "!!"})
        assert (wrong.status, wrong.issue["expression"]) == (400, ["Binary.data"])

    @pytest.mark.parametrize("data", [PNG, bytes(100_000)], ids=["small", "large"])
    async def test_is_bytes_when_the_type_is_withheld(self, client: Client, name: str, data: bytes) -> None:
        reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
        sent = {key: value for key, value in binary(data, name).items() if key != "contentType"}
        assert (await client.put(f"Binary/{name}", sent | {"_contentType": {"extension": [reason]}})).status == 201
        read = await client.get(f"Binary/{name}")
        assert (read.content_type, read.body) == ("application/octet-stream", data)

    async def test_in_bundles_it_is_a_resource(self, client: Client, name: str) -> None:
        await client.put(f"Binary/{name}", PNG, content_type="image/png")
        for url in (f"Binary?_id={name}", f"Binary/{name}/_history"):
            (found,) = (await client.get(url)).resources
            assert b64decode(found["data"]) == PNG
        batch = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": f"Binary/{name}"}}],
        }
        (found,) = (await client.post("", batch)).resources
        assert b64decode(found["data"]) == PNG


class TestSecurityContext:
    """R4 binary.html#rest: X-Security-Context carries securityContext.reference."""

    async def test_in_and_out_as_a_header(self, client: Client) -> None:
        created = await client.post("Binary", PNG, content_type="image/png", x_security_context="Patient/1")
        assert created.resource["securityContext"] == {"reference": "Patient/1"}
        assert (await client.get(f"Binary/{created.id}")).headers["X-Security-Context"] == "Patient/1"

    async def test_in_as_an_element(self, client: Client, name: str) -> None:
        await client.put(f"Binary/{name}", binary(PNG, name, securityContext={"reference": f"{BASE_URL}/Patient/1"}))
        assert (await client.get(f"Binary/{name}")).headers["X-Security-Context"] == "Patient/1"

    async def test_is_none_when_nobody_said_one(self, client: Client, name: str) -> None:
        await client.put(f"Binary/{name}", PNG, content_type="image/png")
        assert "X-Security-Context" not in (await client.get(f"Binary/{name}")).headers


class TestSizes:
    @pytest.mark.parametrize("size", SIZES)
    async def test_every_byte_comes_back(self, client: Client, name: str, size: int) -> None:
        data = content(size)
        for number, sent in ((1, data), (2, binary(data, name, language="en"))):
            answer = await client.put(f"Binary/{name}", sent, content_type="image/png" if number == 1 else JSON)
            assert answer.status == (201 if number == 1 else 200)
            assert (await client.get(f"Binary/{name}")).body == data
            resource = (await client.get(f"Binary/{name}", accept=JSON)).resource
            assert b64decode(resource.get("data", "")) == data
            assert resource["meta"]["versionId"] == str(number)
            assert set(resource) - {"data", "language"} == {"resourceType", "id", "meta", "contentType"}
            assert (await client.get(f"Binary/{name}/_history/{number}")).body == data

    async def test_large_ones_are_whole_in_bundles(self, client: Client, name: str) -> None:
        data = content(200_000)
        await client.put(f"Binary/{name}", binary(data, name))
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"resource": binary(data), "request": {"method": "POST", "url": "Binary"}},
                {"request": {"method": "GET", "url": f"Binary/{name}"}},
            ],
        }
        answer = await client.post("", bundle)
        assert [b64decode(resource["data"]) for resource in answer.resources] == [data]
        for url in (f"Binary?_id={name}", f"Binary/{name}/_history"):
            assert [b64decode(resource["data"]) for resource in (await client.get(url)).resources] == [data]

    async def test_the_answer_to_a_large_write_has_no_body_rather_than_half_a_resource(
        self, client: Client, name: str
    ) -> None:
        """R4 http.html#ops lets a server leave it out; an empty `data` would be another resource."""
        large = content(100_000)
        where = f"Binary/{name}"
        answers = [
            await client.post("Binary", large, content_type="image/png"),
            await client.put(where, large, content_type="image/png"),
            await client.put(where, binary(large, name), prefer="return=representation"),
            await client.put(where, binary(large[::-1], name), prefer="return=representation"),
            await client.post("Binary", binary(large), if_none_exist=f"_id={name}"),
        ]
        assert [answer.status for answer in answers] == [201, 201, 200, 200, 200]
        assert {answer.body for answer in answers} == {b""}
        # The same content again is no new version.
        assert [answer.headers["ETag"] for answer in answers] == [f'W/"{n}"' for n in (1, 1, 1, 2, 2)]
        create = {"resource": binary(large), "request": {"method": "POST", "url": "Binary"}}
        found = {"resource": binary(large), "request": {**create["request"], "ifNoneExist": f"_id={name}"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [create, found]}
        written = await client.post("", bundle, prefer="return=representation")
        assert written.status == 200
        assert ["resource" in entry for entry in written.entries] == [False, False]

    async def test_data_may_stand_anywhere(self, client: Client, name: str) -> None:
        data = content(100_000)
        elements = {"resourceType": "Binary", "id": name, "contentType": "image/png", "data": b64encode(data).decode()}
        for order in (list(elements), list(elements)[::-1]):
            sent = {key: elements[key] for key in order} | {"meta": {"tag": [{"code": order[0]}]}}
            await client.put(f"Binary/{name}", sent)
            assert (await client.get(f"Binary/{name}")).body == data
            assert (await client.get(f"Binary/{name}", accept=JSON)).resource["data"] == elements["data"]

    async def test_large_then_small_then_deleted(self, client: Client, name: str) -> None:
        large = content(150_000)
        await client.put(f"Binary/{name}", large, content_type="image/png")
        await client.put(f"Binary/{name}", PNG, content_type="image/png")
        await client.delete(f"Binary/{name}")
        assert (await client.get(f"Binary/{name}")).status == 410
        assert (await client.get(f"Binary/{name}/_history/1")).body == large
        assert (await client.get(f"Binary/{name}/_history/2")).body == PNG
        history = await client.get(f"Binary/{name}/_history")
        assert [len(b64decode(resource["data"])) for resource in history.resources] == [len(PNG), len(large)]
