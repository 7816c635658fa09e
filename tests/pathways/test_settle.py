"""A stored plan settled again: open steps follow the events, steps that are over stay. Both engines."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fhir_server.content import load_content
from fhir_server.errors import FhirError
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.model.json import parse
from fhir_server.operations.plans import Applying, Settled, named_definition, plan_for, put_plan, settle_plan
from fhir_server.operations.scorer import StoreReading
from fhir_server.pathways.replan import action_of
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import Query
from fhir_server.storage.scope import ALL

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
KNEE = f"{BASE}/PlanDefinition/knee-oa-arthroplasty|1.0.0"
PATIENT: Json = {"resourceType": "Patient", "id": "p-1", "birthDate": "1951-03-07"}


@pytest.fixture
async def plan(server: Server) -> Json:
    """An active plan, its referral received, accepted and listed a long time ago and the operation in far future."""
    await load_content(server)
    await put(server, dict(PATIENT))
    reading = StoreReading(server.store, ALL)
    days = {"received": date(2026, 1, 5), "accepted": date(2026, 1, 9), "listed": date(2026, 3, 2)}
    applying = Applying("Patient/p-1", {**days, "operation": date(2199, 9, 1)})
    applied = await plan_for(server, reading, await named_definition(reading, KNEE, "pathway"), applying)

    async def work(transaction: Transaction) -> StoredVersion:
        return await put_plan(server, transaction, applied)

    stored = await server.store.write(ALL, work)
    assert stored.body is not None
    return parse(stored.body, max_depth=100)


async def put(server: Server, *resources: Json) -> None:
    async def work(transaction: Transaction) -> None:
        for resource in resources:
            await transaction.put(prepare_for(server, resource, resource["id"]))

    await server.store.write(ALL, work)


async def settle(server: Server, plan: Json, **given: Any) -> Settled:
    async def work(transaction: Transaction) -> Settled:
        return await settle_plan(server, transaction, plan, **{"reason": "The theatre list changed.", **given})

    return await server.store.write(ALL, work)


async def steps(server: Server, plan: Json) -> dict[str, Json]:
    found = {}
    for activity in plan["activity"]:
        version = await server.store.read(ALL, *activity["reference"]["reference"].split("/"))
        assert version is not None
        assert version.body is not None
        step = parse(version.body, max_depth=100)
        found[str(action_of(step, BASE))] = step
    return found


async def test_open_steps_follow_the_operation(server: Server, plan: Json) -> None:
    settled = await settle(server, plan, anchors={"operation": date(2198, 9, 1)})
    after = await steps(server, plan)
    assert after["m6-oks"]["restriction"]["period"] == {"start": "2199-02-01", "end": "2199-06-01"}
    assert after["m6-oks"]["status"] == "draft"
    changed = {resource["id"] for resource in settled.changed}
    assert plan["id"] in changed
    assert after["baseline-oks"]["id"] not in changed
    assert after["baseline-oks"]["meta"]["versionId"] == "1"
    (care_plan,) = (resource for resource in settled.changed if resource["resourceType"] == "CarePlan")
    dates = {
        extension["extension"][0]["valueCode"]: extension["extension"][1]["valueDate"]
        for extension in care_plan["extension"]
    }
    assert dates["operation"] == "2198-09-01"
    assert dates["received"] == "2026-01-05"


async def test_one_provenance_names_all_that_changed(server: Server, plan: Json) -> None:
    settled = await settle(server, plan, anchors={"operation": date(2198, 9, 1)})
    assert (await server.store.counts(ALL))["Provenance"] == 1
    (version,) = (await server.store.search(ALL, Query("Provenance", (), count=10))).matches
    assert version.body is not None
    why = parse(version.body, max_depth=100)
    assert why["reason"] == [{"text": "The theatre list changed."}]
    assert {target["reference"] for target in why["target"]} == {
        f"{r['resourceType']}/{r['id']}/_history/{r['meta']['versionId']}" for r in settled.changed
    }


async def test_the_same_again_changes_nothing(server: Server, plan: Json) -> None:
    assert (await settle(server, plan, anchors={"operation": date(2199, 9, 1)})).changed == []
    assert "Provenance" not in await server.store.counts(ALL)


@pytest.mark.parametrize("status", ["completed", "failed", "rejected", "cancelled"])
async def test_a_step_that_is_over_never_moves(server: Server, plan: Json, status: str) -> None:
    step = (await steps(server, plan))["m6-oks"]
    await put(server, {**step, "status": status})
    before = (await steps(server, plan))["m6-oks"]
    await settle(server, plan, anchors={"operation": date(2198, 9, 1)})
    assert (await steps(server, plan))["m6-oks"] == before


async def test_an_event_that_did_not_happen(server: Server, plan: Json) -> None:
    await settle(server, plan, anchors={"operation": None})
    step = (await steps(server, plan))["m6-oks"]
    assert "restriction" not in step
    assert step["status"] == "draft"


async def test_a_booked_appointment_is_left_to_people(server: Server, plan: Json) -> None:
    step = (await steps(server, plan))["w6-appointment"]
    booked = {**step, "status": "booked", "start": "2199-10-12T09:00:00Z", "end": "2199-10-12T09:30:00Z"}
    await put(server, booked)
    settled = await settle(server, plan, anchors={"operation": date(2198, 9, 1)})
    after = (await steps(server, plan))["w6-appointment"]
    assert after["start"] == "2199-10-12T09:00:00Z"
    assert any(step["id"] in issue.diagnostics for issue in settled.issues)


@pytest.mark.parametrize(
    "anchors",
    [
        {"operation": date(2026, 2, 1)},
        {"operation": date(1940, 1, 1)},
        {"surgery": date(2026, 5, 1)},
    ],
)
async def test_an_anchor_that_cannot_be_changes_nothing(server: Server, plan: Json, anchors: dict[str, date]) -> None:
    with pytest.raises(FhirError) as refused:
        await settle(server, plan, anchors=anchors)
    assert refused.value.status == 422
    assert (await server.store.counts(ALL)).get("Provenance", 0) == 0


async def test_a_plan_whose_definition_is_gone_is_left_alone(server: Server, plan: Json) -> None:
    gone = {**plan, "instantiatesCanonical": [f"{BASE}/PlanDefinition/knee-oa-arthroplasty|0.9"]}
    settled = await settle(server, gone)
    assert settled.changed == []
    assert "There is no PlanDefinition" in settled.issues[0].diagnostics
    with pytest.raises(FhirError):
        await settle(server, gone, anchors={"operation": date(2198, 9, 1)})


async def test_a_plan_ends_with_its_last_open_step(server: Server, plan: Json) -> None:
    *others, last = (await steps(server, plan)).values()
    over = {"Task": "completed", "Appointment": "fulfilled", "ServiceRequest": "completed"}
    await put(server, *({**step, "status": over[step["resourceType"]]} for step in others))
    assert not [one for one in (await settle(server, plan)).changed if one["resourceType"] == "CarePlan"]
    await put(server, {**last, "status": over[last["resourceType"]]})
    (ended,) = [one for one in (await settle(server, plan)).changed if one["resourceType"] == "CarePlan"]
    assert ended["status"] == "completed"
