"""$apply called on a server: one transaction, the plan and its steps found again, and refusals. Both engines."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.content import load_content, shipped_resources
from fhir_server.errors import FhirError
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.model.json import encode, parse
from fhir_server.operations.apply import apply
from fhir_server.operations.registry import OperationRegistry, operation
from fhir_server.storage.base import Transaction
from fhir_server.storage.scope import ALL

BASE_URL = "http://test.example/fhir"
KNEE = "knee-oa-arthroplasty-1.0.0"
REGISTRY = OperationRegistry((operation("OperationDefinition-PlanDefinition-apply.json", apply),))
PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p-1", "active": True}


@pytest.fixture
async def loaded(server: Server) -> Server:
    """A server with the shipped content and one patient."""
    await load_content(server)
    await store(server, PATIENT)
    return server


async def store(server: Server, *resources: dict[str, Any]) -> None:
    drafts = [prepare_for(server, dict(resource), resource["id"]) for resource in resources]

    async def work(transaction: Transaction) -> None:
        for draft in drafts:
            await transaction.put(draft)

    await server.store.write(ALL, work)


def parameter(name: str, value: str) -> dict[str, Any]:
    """Names that are no parameters are events."""
    if name in ("subject", "practitioner", "organization", "encounter", "referral"):
        return {"name": name, "valueString": value}
    if name == "laterality":
        return {"name": name, "valueCode": value}
    parts = [{"name": "event", "valueCode": name.replace("_", "-")}, {"name": "date", "valueDate": value}]
    return {"name": "anchor", "part": parts}


def anchor(event: str) -> str:
    return f"Parameters.parameter.where(name='anchor' and part.value='{event}')"


async def call(server: Server, plan: str = KNEE, method: str = "POST", **given: str) -> Response:
    body = {"resourceType": "Parameters", "parameter": [parameter(name, value) for name, value in given.items()]}
    request = Request(method, "", [], {}, encode(body), base_url=BASE_URL)
    return await REGISTRY.invoke(server, request, "instance", "PlanDefinition", plan, None, "apply")


async def refusal(server: Server, plan: str = KNEE, **given: str) -> FhirError:
    with pytest.raises(FhirError) as refused:
        await call(server, plan, **given)
    assert await plans(server) == 0
    return refused.value


async def plans(server: Server) -> int:
    return (await server.store.counts(ALL)).get("CarePlan", 0)


async def test_the_plan_and_every_step_are_stored(loaded: Server) -> None:
    answer = await call(loaded, subject="Patient/p-1", received="2026-02-02", accepted="2026-02-09")
    assert isinstance(answer.body, bytes)
    plan = parse(answer.body, max_depth=100)
    assert answer.status == 201
    assert answer.headers["Location"] == f"{BASE_URL}/CarePlan/{plan['id']}/_history/1"
    assert len(plan["activity"]) == 30
    seqs = set()
    for activity in plan["activity"]:
        resource_type, logical_id = activity["reference"]["reference"].split("/")
        version = await loaded.store.read(ALL, resource_type, logical_id)
        assert version is not None
        assert version.body is not None
        seqs.add(version.last_updated)
        assert parse(version.body, max_depth=100)["resourceType"] == resource_type
    assert len(seqs) == 1


async def test_an_absolute_subject_is_our_own(loaded: Server) -> None:
    answer = await call(loaded, subject=f"{BASE_URL}/Patient/p-1")
    assert isinstance(answer.body, bytes)
    assert parse(answer.body, max_depth=100)["subject"] == {"reference": "Patient/p-1"}


async def test_get_is_refused(loaded: Server) -> None:
    with pytest.raises(FhirError) as refused:
        await call(loaded, method="GET", subject="Patient/p-1")
    assert (refused.value.status, refused.value.headers["Allow"]) == (405, "POST")


async def test_without_a_subject(loaded: Server) -> None:
    assert (await refusal(loaded)).status == 400


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("Patient/nobody", "not-found"),
        ("Group/g-1", "value"),
        ("Patient", "value"),
        ("Patient/p-1/_history/1", "value"),
    ],
)
async def test_a_subject_that_cannot_be(loaded: Server, subject: str, code: str) -> None:
    refused = await refusal(loaded, subject=subject)
    assert (refused.status, refused.issues[0].code) == (422, code)
    assert refused.issues[0].expression == "Parameters.parameter.where(name='subject').value"


@pytest.mark.parametrize("state", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-01-01"}, {"active": False}])
async def test_a_patient_who_gets_no_plan(loaded: Server, state: dict[str, Any]) -> None:
    await store(loaded, {**PATIENT, **state})
    assert (await refusal(loaded, subject="Patient/p-1")).status == 422


async def test_a_plan_that_is_not_here(loaded: Server) -> None:
    assert (await refusal(loaded, "nothing", subject="Patient/p-1")).status == 404


async def test_a_retired_plan(loaded: Server) -> None:
    (plan,) = (resource for resource in shipped_resources(loaded.settings.canonical_base) if resource["id"] == KNEE)
    await store(loaded, {**plan, "status": "retired"})
    refused = await refusal(loaded, subject="Patient/p-1")
    assert refused.issues[0].expression == "PlanDefinition.status"


async def test_a_retired_activity_is_not_used(loaded: Server) -> None:
    (activity,) = (
        resource
        for resource in shipped_resources(loaded.settings.canonical_base)
        if resource["id"] == "view-knee-welcome-1.0.0"
    )
    await store(loaded, {**activity, "status": "retired"})
    refused = await refusal(loaded, subject="Patient/p-1")
    assert [issue.expression for issue in refused.issues] == ["PlanDefinition.action[0].definitionCanonical"]
    assert "is retired" in refused.issues[0].diagnostics


async def test_the_active_one_of_two_with_the_same_canonical(loaded: Server) -> None:
    (activity,) = (
        resource
        for resource in shipped_resources(loaded.settings.canonical_base)
        if resource["id"] == "view-knee-welcome-1.0.0"
    )
    await store(loaded, {**activity, "id": "a-draft", "status": "draft"})
    assert (await call(loaded, subject="Patient/p-1")).status == 201


@pytest.mark.parametrize("received", ["9999-12-31", "0001-01-01", "1959-12-31"])
async def test_a_day_that_cannot_be_the_patients(loaded: Server, received: str) -> None:
    await store(loaded, {**PATIENT, "birthDate": "1960"})
    refused = await refusal(loaded, subject="Patient/p-1", received=received)
    assert refused.status == 422
    assert refused.issues[0].expression == anchor("received")


@pytest.mark.parametrize("operation_day", ["2026-02", "2026-01-31"])
async def test_an_anchor_that_cannot_be(loaded: Server, operation_day: str) -> None:
    refused = await refusal(loaded, subject="Patient/p-1", received="2026-02-02", operation=operation_day)
    assert refused.issues[0].expression == anchor("operation")


async def test_enforced_references_reach_the_practitioner(loaded: Server) -> None:
    loaded.settings.enforce_references = True
    refused = await refusal(loaded, subject="Patient/p-1", practitioner="Practitioner/nobody")
    assert refused.status == 422


async def test_a_second_active_plan_of_the_pathway_is_refused(loaded: Server) -> None:
    first = await call(loaded, subject="Patient/p-1", laterality="left")
    with pytest.raises(FhirError) as refused:
        await call(loaded, subject="Patient/p-1", laterality="left")
    (issue,) = refused.value.issues
    assert (refused.value.status, issue.code) == (422, "business-rule")
    assert plan_of(first)["id"] in issue.diagnostics
    assert await plans(loaded) == 1
    with pytest.raises(FhirError):
        await call(loaded, subject="Patient/p-1", laterality="bilateral")
    assert (await call(loaded, subject="Patient/p-1", laterality="right")).status == 201


async def test_a_finished_plan_makes_place_for_another(loaded: Server) -> None:
    plan = plan_of(await call(loaded, subject="Patient/p-1"))
    await store(loaded, {**plan, "status": "completed"})
    assert (await call(loaded, subject="Patient/p-1")).status == 201


async def test_a_side_that_is_none(loaded: Server) -> None:
    refused = await refusal(loaded, subject="Patient/p-1", laterality="middle")
    assert (refused.status, refused.issues[0].code) == (422, "code-invalid")


async def test_every_step_names_its_action(loaded: Server) -> None:
    plan = plan_of(await call(loaded, subject="Patient/p-1"))
    names = []
    for activity in plan["activity"]:
        version = await loaded.store.read(ALL, *activity["reference"]["reference"].split("/"))
        assert version is not None
        assert version.body is not None
        extensions = parse(version.body, max_depth=100)["extension"]
        names += [e["valueString"] for e in extensions if e["url"].endswith("/msk-step-action")]
    assert names[:3] == ["welcome", "guide", "baseline-msk-hq"]
    assert len(set(names)) == 30


REFERRAL: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "id": "r-1",
    "extension": [
        {
            "url": "https://fhir.example.org/msk/StructureDefinition/msk-received",
            "valueDateTime": "2026-01-04T23:30:00Z",
        }
    ],
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p-1"},
    "authoredOn": "2026-01-02",
}


async def test_a_plan_for_a_referral_begins_with_it(loaded: Server) -> None:
    await store(loaded, REFERRAL)
    plan = plan_of(await call(loaded, subject="Patient/p-1", referral="ServiceRequest/r-1"))
    assert plan["supportingInfo"] == [{"reference": "ServiceRequest/r-1"}]
    assert plan["period"] == {"start": "2026-01-04"}


async def test_an_anchor_earlier_than_the_referral(loaded: Server) -> None:
    await store(loaded, REFERRAL)
    given = {"subject": "Patient/p-1", "referral": "ServiceRequest/r-1"}
    refused = await refusal(loaded, **given, received="2026-01-03")
    assert (refused.status, refused.issues[0].expression) == (422, anchor("received"))
    refused = await refusal(loaded, **given, accepted="2026-01-03")
    assert refused.issues[0].expression == anchor("accepted")


@pytest.mark.parametrize("change", [None, {"subject": {"reference": "Patient/p-2"}}])
async def test_a_referral_that_is_not_the_patients(loaded: Server, change: dict[str, Any] | None) -> None:
    if change:
        await store(loaded, {**REFERRAL, **change})
    refused = await refusal(loaded, subject="Patient/p-1", referral="ServiceRequest/r-1")
    assert refused.status == 422
    assert refused.issues[0].expression == "Parameters.parameter.where(name='referral').value"


async def test_an_event_twice(loaded: Server) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            parameter("subject", "Patient/p-1"),
            parameter("received", "2026-01-01"),
            parameter("received", "2026-01-02"),
        ],
    }
    request = Request("POST", "", [], {}, encode(body), base_url=BASE_URL)
    with pytest.raises(FhirError) as refused:
        await REGISTRY.invoke(loaded, request, "instance", "PlanDefinition", KNEE, None, "apply")
    assert (refused.value.status, refused.value.issues[0].expression) == (422, anchor("received"))


def plan_of(answer: Response) -> dict[str, Any]:
    assert isinstance(answer.body, bytes)
    return parse(answer.body, max_depth=100)
