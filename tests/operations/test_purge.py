"""$purge erases for good: a resource, or a patient's whole compartment (docs/api/operations/resource-purge.md)."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import pytest

from fhir_server.errors import InvalidResource, ResourceNotFound
from fhir_server.interactions.exchange import Server
from fhir_server.model.json import parse
from fhir_server.search.extract import extract
from fhir_server.storage.query import HistoryQuery
from fhir_server.storage.scope import ALL
from tests.operations.conftest import Json, Operations, Put

Delete = Callable[[str, str], Awaitable[None]]


def condition(logical_id: str, patient: str) -> Json:
    return {"resourceType": "Condition", "id": logical_id, "subject": {"reference": f"Patient/{patient}"}}


def letter(logical_id: str, patient: str, binary: str) -> Json:
    return {
        "resourceType": "DocumentReference",
        "id": logical_id,
        "status": "current",
        "subject": {"reference": f"Patient/{patient}"},
        "content": [{"attachment": {"url": f"Binary/{binary}"}}],
    }


def binary(logical_id: str, size: int = 10) -> Json:
    data = base64.b64encode(bytes(size)).decode()
    return {"resourceType": "Binary", "id": logical_id, "contentType": "application/pdf", "data": data}


def patient(logical_id: str) -> Json:
    return {"resourceType": "Patient", "id": logical_id}


async def left(server: Server) -> set[str]:
    """Every resource of which any version is stored."""
    page = await server.store.history(ALL, HistoryQuery(count=1000))
    return {f"{version.resource_type}/{version.logical_id}" for version in page.versions}


async def consistent(server: Server) -> bool:
    return not [found async for found in server.store.check(lambda body: extract(parse(body, max_depth=100)))]


def counts(parameters: Json) -> dict[str, int]:
    return {p["name"]: p["valueInteger"] for p in parameters["parameter"] if "valueInteger" in p}


def by_type(parameters: Json) -> dict[str, int]:
    types = [p["part"] for p in parameters["parameter"] if p["name"] == "type"]
    return {name["valueCode"]: number["valueInteger"] for name, number in types}


async def test_a_resource_goes_with_its_history(operations: Operations, put: Put, server: Server) -> None:
    await put(patient("a"), patient("b"))
    await put({**patient("a"), "active": True})
    answer = await operations.post("Patient/a/$purge")
    assert counts(answer)["resources"] == 1
    assert counts(answer)["versions"] == 2
    assert counts(answer)["indexRows"] > 2
    assert by_type(answer) == {"Patient": 1}
    assert await left(server) == {"Patient/b"}
    assert await server.store.counts(ALL) == {"Patient": 1}
    assert await consistent(server)


async def test_a_purged_id_starts_again_at_version_1(operations: Operations, put: Put) -> None:
    await put(patient("a"))
    await operations.post("Patient/a/$purge")
    with pytest.raises(ResourceNotFound):
        await operations.post("Patient/a/$purge")
    [again] = await put(patient("a"))
    assert again.version_id == 1


async def test_a_deleted_resource_can_be_purged(
    operations: Operations, put: Put, delete: Delete, server: Server
) -> None:
    await put(patient("a"))
    await delete("Patient", "a")
    assert counts(await operations.post("Patient/a/$purge"))["versions"] == 2
    assert await left(server) == set()


async def test_stored_bytes_go_too(operations: Operations, put: Put, server: Server) -> None:
    await put(binary("large", 300_000))
    assert counts(await operations.post("Binary/large/$purge"))["blobs"] == 1
    assert await left(server) == set()


async def test_erasing_a_patient_erases_what_is_and_was_theirs(
    operations: Operations, put: Put, delete: Delete, server: Server
) -> None:
    await put(patient("a"), patient("b"), condition("a1", "a"), condition("a2", "a"), condition("b1", "b"))
    await delete("Condition", "a2")
    await put(
        binary("own", 300_000),
        binary("replaced"),
        binary("shared"),
        binary("foreign"),
        letter("l1", "a", "replaced"),
        letter("l2", "a", "shared"),
        letter("l3", "b", "shared"),
        letter("l4", "b", "foreign"),
        {
            "resourceType": "Task",
            "id": "t",
            "status": "requested",
            "intent": "order",
            "for": {"reference": "Patient/a"},
        },
        {"resourceType": "Practitioner", "id": "kept"},
    )
    await put(letter("l1", "a", "own"))
    answer = await operations.post("Patient/a/$purge", None, ("compartment", "true"))
    assert by_type(answer) == {"Binary": 2, "Condition": 2, "DocumentReference": 2, "Patient": 1, "Task": 1}
    assert counts(answer)["resources"] == 8
    assert counts(answer)["blobs"] == 1
    assert await left(server) == {
        "Patient/b",
        "Condition/b1",
        "DocumentReference/l3",
        "DocumentReference/l4",
        "Binary/shared",
        "Binary/foreign",
        "Practitioner/kept",
    }
    assert await consistent(server)


async def test_what_became_somebody_elses_is_kept_and_named(operations: Operations, put: Put, server: Server) -> None:
    await put(patient("a"), patient("b"), condition("moved", "a"))
    await put(condition("moved", "b"))
    answer = await operations.post("Patient/a/$purge", None, ("compartment", "true"))
    retained = [p["valueReference"] for p in answer["parameter"] if p["name"] == "retained"]
    assert retained == [{"reference": "Condition/moved"}]
    assert await left(server) == {"Patient/b", "Condition/moved"}


async def test_only_a_patient_has_a_compartment_to_erase(operations: Operations, put: Put, server: Server) -> None:
    await put(patient("a"), condition("c", "a"))
    with pytest.raises(InvalidResource):
        await operations.post("Condition/c/$purge", None, ("compartment", "true"))
    with pytest.raises(ResourceNotFound):
        await operations.post("Patient/nobody/$purge", None, ("compartment", "true"))
    assert await left(server) == {"Patient/a", "Condition/c"}
