"""ServiceRequest $discharge and the plan: what waits for events that will not come ends, what is dated goes on.

The commissioner's state table: discharged, "CarePlan completed unless PROM follow-ups remain".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.operations.referrals import BASE, THERAPY, Referrals

Json = dict[str, Any]
TO_TRIAGE = ["submit", "start-triage"]
REASON = f"{BASE}/CodeSystem/msk-step-reason"


@pytest.fixture(scope="module")
def referrals(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        yield Referrals(http)


def discharged(referrals: Referrals, pathway: str, **more: Any) -> tuple[Json, dict[str, Json]]:
    """The plan, and its steps by action, of a referral that was accepted, seen once and discharged."""
    request = referrals.at(TO_TRIAGE, **more)
    http, path = referrals.http, f"ServiceRequest/{request['id']}"
    accept = [
        {"name": "outcome", "valueCode": "accept"},
        {"name": "service", "valueString": THERAPY},
        {"name": "pathway", "valueCanonical": f"{BASE}/PlanDefinition/{pathway}|1.0.0"},
    ]
    _moved(http, path, "triage", accept)
    subject = request["subject"]["reference"]
    appointment = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-02-02T10:00:00Z",
        "end": "2026-02-02T10:30:00Z",
        "participant": [{"actor": {"reference": subject}, "status": "accepted"}],
    }
    booked = http.post("Appointment", json=appointment).json()
    _moved(http, path, "book", [{"name": "appointment", "valueString": f"Appointment/{booked['id']}"}])
    _moved(http, path, "attend", [{"name": "outcome", "valueCode": "attended"}])
    _moved(http, path, "discharge", [])
    (entry,) = http.get("CarePlan", params={"subject": subject}).json()["entry"]
    plan = entry["resource"]
    steps = {}
    for activity in plan["activity"]:
        step = http.get(activity["reference"]["reference"]).json()
        for extension in step["extension"]:
            if extension["url"] == f"{BASE}/StructureDefinition/msk-step-action":
                steps[extension["valueString"]] = step
    return plan, steps


def _moved(http: httpx.Client, path: str, name: str, given: list[Json]) -> None:
    etag = http.get(path).headers["ETag"]
    body = {"resourceType": "Parameters", **({"parameter": given} if given else {})}
    answer = http.post(f"{path}/${name}", json=body, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text


def test_steps_of_events_that_will_not_come_end(referrals: Referrals) -> None:
    """Nobody was listed for an operation, so nothing is counted from one any more."""
    _, steps = discharged(referrals, "knee-oa-arthroplasty")
    for action in ("prehabilitation", "pre-op-oks", "m6-oks", "m12-oks"):
        assert steps[action]["status"] == "cancelled", action
        assert steps[action]["statusReason"]["coding"] == [{"system": REASON, "code": "plan-ended"}]


def test_steps_with_a_day_go_on_and_keep_the_plan(referrals: Referrals) -> None:
    """What was to come in six weeks still comes."""
    plan, steps = discharged(referrals, "knee-oa-arthroplasty")
    assert steps["w6-oks"]["status"] == "draft"
    assert "period" in steps["w6-oks"]["restriction"]
    assert plan["status"] == "active"


def test_the_discharge_is_an_event_of_the_plan(referrals: Referrals) -> None:
    """What a pathway asks at discharge is asked then."""
    plan, steps = discharged(referrals, "chronic-pain")
    today = datetime.now(ZoneInfo("Europe/London")).date().isoformat()
    dated = [extension["extension"] for extension in plan["extension"] if extension["url"].endswith("msk-anchor-date")]
    assert [{"url": "event", "valueCode": "discharge"}, {"url": "date", "valueDate": today}] in dated
    at_discharge = [
        step
        for step in steps.values()
        if any(
            part.get("valueCode") == "discharge"
            for extension in step["extension"]
            if extension["url"].endswith("msk-step-anchor")
            for part in extension["extension"]
        )
    ]
    assert at_discharge
    assert {step["status"] for step in at_discharge} == {"requested"}


def test_a_plan_with_nothing_left_is_completed(referrals: Referrals) -> None:
    """A pathway of one step, which waits for an operation."""
    extension = [
        {
            "url": f"{BASE}/StructureDefinition/msk-step-anchor",
            "extension": [
                {"url": "event", "valueCode": "operation"},
                {
                    "url": "offset",
                    "valueDuration": {"value": 1, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"},
                },
            ],
        }
    ]
    pathway = {
        "resourceType": "PlanDefinition",
        "id": "after-operation",
        "url": f"{BASE}/PlanDefinition/after-operation",
        "version": "1.0.0",
        "status": "active",
        "action": [
            {
                "id": "after",
                "extension": extension,
                "definitionCanonical": f"{BASE}/ActivityDefinition/view-knee-welcome|1.0.0",
            }
        ],
    }
    assert referrals.http.put("PlanDefinition/after-operation", json=pathway).status_code in (200, 201)
    plan, steps = discharged(referrals, "after-operation")
    assert (plan["status"], steps["after"]["status"]) == ("completed", "cancelled")
