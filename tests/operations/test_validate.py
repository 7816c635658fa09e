"""Resource $validate (R4 resource-operation-validate.html) on each engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fhir_server.errors import FhirError
from fhir_server.interactions.exchange import Server
from fhir_server.storage.query import HistoryQuery
from fhir_server.storage.scope import ALL
from tests.operations.conftest import Json, Operations, Put

VALID: Json = {"resourceType": "Patient", "id": "p", "gender": "female"}
INVALID: Json = {"resourceType": "Patient", "id": "p", "gender": "man", "birthDate": "1960-13-01", "colour": "red"}
BASE = "http://hl7.org/fhir/StructureDefinition/"


def parameters(resource: Json | None = None, **values: str) -> Json:
    types = {"mode": "valueCode", "profile": "valueUri"}
    parts: list[Json] = [{"name": name, types[name]: value} for name, value in values.items()]
    if resource is not None:
        parts.append({"name": "resource", "resource": resource})
    return {"resourceType": "Parameters", "parameter": parts}


def severities(outcome: Json) -> list[str]:
    assert outcome["resourceType"] == "OperationOutcome"
    return [issue["severity"] for issue in outcome["issue"]]


def errors(outcome: Json) -> list[Json]:
    return [issue for issue in outcome["issue"] if issue["severity"] == "error"]


async def test_a_valid_resource_has_one_information_issue(operations: Operations) -> None:
    for path in ("$validate", "Patient/$validate", "Patient/p/$validate"):
        for body in (VALID, parameters(VALID), parameters(VALID, profile=f"{BASE}Patient")):
            outcome = await operations.post(path, body)
            assert severities(outcome) == ["information"], path


@pytest.mark.parametrize("body", [INVALID, parameters(INVALID)])
async def test_every_issue_is_listed_with_its_place(operations: Operations, body: Json) -> None:
    response = await operations.send("POST", "Patient/$validate", body=body)
    assert response.status == 200
    found = {issue["expression"][0] for issue in errors(await operations.post("Patient/$validate", body))}
    assert found >= {"Patient.gender", "Patient.birthDate"}
    assert any("colour" in expression for expression in found)


async def test_a_resource_of_another_type_than_the_urls_is_an_issue(operations: Operations) -> None:
    [issue] = errors(await operations.post("Observation/$validate", VALID))
    assert "Patient" in issue["diagnostics"]


async def test_nothing_is_stored(operations: Operations, server: Server) -> None:
    for mode in ("create", "update"):
        await operations.post("Patient/p/$validate", parameters(VALID, mode=mode))
    assert (await server.store.history(ALL, HistoryQuery())).versions == []


async def test_update_needs_the_id_of_the_url(operations: Operations) -> None:
    assert severities(await operations.post("Patient/p/$validate", VALID, ("mode", "update"))) == ["information"]
    [issue] = errors(await operations.post("Patient/q/$validate", VALID, ("mode", "update")))
    assert issue["expression"] == ["Patient.id"]


async def test_update_of_an_earlier_version_is_an_issue(operations: Operations, put: Put) -> None:
    await put(VALID)
    await put({**VALID, "active": True})
    body = parameters(VALID, mode="update")
    assert len(errors(await operations.post("Patient/p/$validate", body, if_match='W/"1"'))) == 1
    assert errors(await operations.post("Patient/p/$validate", body, if_match='W/"2"')) == []


async def test_update_may_not_choose_an_id_where_the_server_does(operations: Operations, server: Server) -> None:
    server.settings.client_ids = False
    [issue] = errors(await operations.post("Patient/p/$validate", VALID, ("mode", "update")))
    assert "ids" in issue["diagnostics"]


@pytest.mark.parametrize("mode", ["create", "update"])
async def test_enforced_references_are_checked(operations: Operations, server: Server, put: Put, mode: str) -> None:
    server.settings.enforce_references = True
    resource = {**VALID, "managingOrganization": {"reference": "Organization/o"}}
    [issue] = errors(await operations.post("Patient/p/$validate", resource, ("mode", mode)))
    assert "Organization/o" in issue["diagnostics"]
    await put({"resourceType": "Organization", "id": "o", "name": "o"})
    assert errors(await operations.post("Patient/p/$validate", resource, ("mode", mode))) == []


async def test_delete_ignores_content_and_asks_whether_there_is_something(
    operations: Operations, put: Put, delete: Callable[[str, str], Awaitable[None]]
) -> None:
    assert len(errors(await operations.get("Patient/p/$validate", ("mode", "delete")))) == 1
    await put(VALID)
    assert errors(await operations.get("Patient/p/$validate", ("mode", "delete"))) == []
    assert errors(await operations.post("Patient/p/$validate", parameters(INVALID, mode="delete"))) == []


async def test_mode_profile_validates_what_is_stored(operations: Operations, put: Put) -> None:
    await put(INVALID)
    outcome = await operations.get("Patient/p/$validate", ("mode", "profile"), ("profile", f"{BASE}Patient"))
    assert "Patient.gender" in {issue["expression"][0] for issue in errors(outcome)}


REFUSED: list[tuple[str, Any, int, str]] = [
    (
        "Patient/$validate",
        parameters(VALID, profile="http://hl7.org/fhir/StructureDefinition/bp"),
        422,
        "not-supported",
    ),
    ("Patient/$validate", parameters(VALID, profile=f"{BASE}Observation"), 422, "not-supported"),
    ("Patient/$validate", parameters(VALID, mode="update"), 400, "invalid"),
    ("$validate", parameters(mode="delete"), 400, "invalid"),
    ("Patient/$validate", parameters(VALID, mode="replace"), 400, "code-invalid"),
    ("Patient/$validate", parameters(mode="create"), 400, "required"),
    ("Patient/$validate", None, 400, "required"),
    ("Patient/p/$validate", parameters(mode="profile"), 404, "not-found"),
]


async def test_what_cannot_be_validated_is_refused(operations: Operations) -> None:
    for path, body, status, code in REFUSED:
        with pytest.raises(FhirError) as refused:
            await operations.post(path, body)
        assert (refused.value.status, refused.value.issues[0].code) == (status, code), body
