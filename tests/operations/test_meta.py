"""$meta, $meta-add and $meta-delete (R4 resource-operation-meta.html and its sisters) on each engine."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import pytest

from fhir_server.errors import FhirError, ResourceGone, ResourceNotFound, VersionConflict
from fhir_server.interactions.exchange import Server
from fhir_server.storage.query import HistoryQuery
from fhir_server.storage.scope import ALL
from tests.operations.conftest import Json, Operations, Put

VIP: Json = {"system": "urn:x", "code": "vip"}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"source": "urn:source", "tag": [VIP]},
    "multipleBirthInteger": 2,
}


def given(**meta: object) -> Json:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def meta_in(parameters: Json) -> Json:
    assert parameters["resourceType"] == "Parameters"
    [parameter] = parameters["parameter"]
    assert parameter["name"] == "return"
    meta: Json = parameter["valueMeta"]
    return meta


async def versions(server: Server, resource_type: str = "Patient", logical_id: str = "p") -> int:
    page = await server.store.history(ALL, HistoryQuery(resource_type, logical_id))
    return len(page.versions)


async def test_meta_is_what_a_read_shows(operations: Operations, put: Put) -> None:
    await put(PATIENT)
    meta = meta_in(await operations.get("Patient/p/$meta"))
    assert set(meta) == {"versionId", "lastUpdated", "source", "tag"}
    assert (meta["versionId"], meta["tag"]) == ("1", [VIP])


async def test_meta_of_an_earlier_version(operations: Operations, put: Put) -> None:
    await put(PATIENT)
    await put({**PATIENT, "meta": {}})
    assert "tag" not in meta_in(await operations.get("Patient/p/$meta"))
    earlier = meta_in(await operations.get("Patient/p/_history/1/$meta"))
    assert (earlier["versionId"], earlier["tag"]) == ("1", [VIP])


async def test_adding_makes_a_version_that_is_found_by_its_tag(
    operations: Operations, put: Put, server: Server
) -> None:
    await put(PATIENT)
    response = await operations.send(
        "POST", "Patient/p/$meta-add", body=given(security=[{"system": "urn:s", "code": "R"}])
    )
    assert response.headers["ETag"] == 'W/"2"'
    meta = meta_in(await operations.get("Patient/p/$meta"))
    assert meta["security"] == [{"system": "urn:s", "code": "R"}]
    assert meta["tag"] == [VIP]
    assert meta["source"] == "urn:source"
    stored = await server.store.read(ALL, "Patient", "p")
    assert stored is not None
    assert b'"multipleBirthInteger":2' in (stored.body or b"")


@pytest.mark.parametrize(
    ("operation", "label"),
    [("$meta-add", {**VIP, "display": "again"}), ("$meta-delete", {"system": "urn:x", "code": "other"})],
)
async def test_no_change_makes_no_version(
    operations: Operations, put: Put, server: Server, operation: str, label: Json
) -> None:
    await put(PATIENT)
    meta = meta_in(await operations.post(f"Patient/p/{operation}", given(tag=[label])))
    assert (meta["versionId"], meta["tag"]) == ("1", [VIP])
    assert await versions(server) == 1


async def test_deleting_the_last_label_leaves_no_empty_array(operations: Operations, put: Put) -> None:
    await put(PATIENT)
    meta = meta_in(await operations.post("Patient/p/$meta-delete", given(tag=[VIP])))
    assert "tag" not in meta
    assert meta["versionId"] == "2"


async def test_a_stale_if_match_is_refused(operations: Operations, put: Put, server: Server) -> None:
    await put(PATIENT)
    await put({**PATIENT, "active": True})
    with pytest.raises(VersionConflict):
        await operations.post("Patient/p/$meta-add", given(profile=["urn:p"]), if_match='W/"1"')
    assert await versions(server) == 2
    await operations.post("Patient/p/$meta-add", given(profile=["urn:p"]), if_match='W/"2"')
    assert await versions(server) == 3


async def test_a_large_binary_keeps_its_content(operations: Operations, put: Put, server: Server) -> None:
    content = bytes(range(256)) * 1024
    data = base64.b64encode(content).decode()
    await put({"resourceType": "Binary", "id": "b", "contentType": "image/png", "data": data})
    await operations.post("Binary/b/$meta-add", given(tag=[VIP]))
    stored = await server.store.read(ALL, "Binary", "b")
    assert stored is not None
    assert stored.version_id == 2
    assert b"".join([chunk async for chunk in server.store.read_blob(ALL, stored)]) == content


async def test_unknown_and_deleted_resources(
    operations: Operations, put: Put, delete: Callable[[str, str], Awaitable[None]]
) -> None:
    for path in (
        "Patient/p/$meta",
        "Patient/p/_history/1/$meta",
        "Patient/p/_history/x/$meta",
        f"Patient/p/_history/{2**64}/$meta",
    ):
        with pytest.raises(ResourceNotFound):
            await operations.get(path)
    with pytest.raises(ResourceNotFound):
        await operations.post("Patient/p/$meta-add", given(tag=[VIP]))
    await put(PATIENT)
    await delete("Patient", "p")
    with pytest.raises(ResourceGone):
        await operations.get("Patient/p/$meta")
    with pytest.raises(ResourceGone):
        await operations.post("Patient/p/$meta-delete", given(tag=[VIP]))


async def test_an_invalid_meta_is_refused_by_its_place(operations: Operations, put: Put) -> None:
    await put(PATIENT)
    with pytest.raises(FhirError) as refused:
        await operations.post("Patient/p/$meta-add", given(tag={"code": "not a list"}))
    assert refused.value.status == 400
    assert (refused.value.issues[0].expression or "").startswith("Parameters.parameter[0].value")
