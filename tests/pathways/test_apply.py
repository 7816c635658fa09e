"""A pathway applied to a patient: dates counted by hand, R4's reference rules, and refusals. No store."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.errors import FhirError
from fhir_server.pathways.apply import AppliedPlan, apply_pathway
from fhir_server.pathways.apply_steps import Context
from fhir_server.pathways.definition_reading import check_active, read_pathway
from fhir_server.validation import validate

BASE = "https://fhir.example.org/msk"
FOLDER = Path(__file__).parents[2] / "profiles" / "pathways"
PLAN = json.loads((FOLDER / "knee-oa-arthroplasty" / "PlanDefinition-knee-oa-arthroplasty.json").read_text())
ACTIVITIES = {
    f"{activity['url']}|{activity['version']}": activity
    for activity in (json.loads(path.read_text()) for path in FOLDER.glob("*/ActivityDefinition-*.json"))
}
LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=LONDON)


def numbered() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id-{next(numbers)}"


def apply(anchors: dict[str, date] | None = None, now: datetime = NOW, **context: Any) -> AppliedPlan:
    anchors = {"received": date(2026, 3, 2)} if anchors is None else anchors
    return apply_pathway(
        read_pathway(PLAN, BASE),
        ACTIVITIES,
        Context("Patient/p-1", anchors, now, numbered(), BASE, **context),
    )


def step(plan: AppliedPlan, action_id: str) -> dict[str, Any]:
    return plan.steps[[action["id"] for action in PLAN["action"]].index(action_id)]


def anchor(event: str) -> str:
    return f"Parameters.parameter.where(name='anchor' and part.value='{event}')"


def changed(*path: Any, value: Any) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(json.dumps(PLAN))
    parent: Any = plan
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value
    return plan


def test_one_activity_per_step_in_the_order_of_the_pathway() -> None:
    plan = apply()
    assert [activity["reference"]["reference"] for activity in plan.care_plan["activity"]] == [
        f"{resource['resourceType']}/{resource['id']}" for resource in plan.steps
    ]
    assert len(plan.steps) == len(PLAN["action"]) == 30
    assert all("detail" not in activity for activity in plan.care_plan["activity"])


def test_every_resource_is_valid() -> None:
    events = ["received", "accepted", "listed", "operation"]
    dated = [dict.fromkeys([*events, review], date(2025, 3, 2)) for review in ("improving", "not-improving")]
    plans = [apply(anchors, practitioner="Practitioner/pr", encounter="Encounter/e") for anchors in dated]
    for plan in (apply(), *plans):
        for resource in (plan.care_plan, *plan.steps):
            validate(resource)


def test_the_plan_names_what_it_was_made_from() -> None:
    plan = apply().care_plan
    assert plan["instantiatesCanonical"] == [f"{BASE}/PlanDefinition/knee-oa-arthroplasty|1.0.0"]
    assert (plan["status"], plan["intent"], plan["subject"]) == ("active", "plan", {"reference": "Patient/p-1"})
    assert plan["period"] == {"start": "2026-03-02"}


def test_a_questionnaire_step() -> None:
    task = step(apply(), "baseline-oks")
    assert task["instantiatesCanonical"] == f"{BASE}/ActivityDefinition/answer-oks|1.0.0"
    assert task["basedOn"] == [{"reference": "CarePlan/id-1"}]
    assert task["for"] == task["owner"] == {"reference": "Patient/p-1"}
    assert task["restriction"]["period"] == {"start": "2026-03-02", "end": "2026-03-16"}
    (questionnaire,) = task["input"]
    assert questionnaire["valueCanonical"] == f"{BASE}/Questionnaire/oks|1.0.0-neutral"
    assert questionnaire["type"]["coding"] == [
        {"system": "http://hl7.org/fhir/uv/sdc/CodeSystem/temp", "code": "questionnaire"}
    ]
    assert [coding["code"] for coding in task["code"]["coding"]] == [
        "questionnaire",
        "collect-information",
        "complete-questionnaire",
    ]
    assert {"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "baseline"} in task["extension"]


def test_a_resource_step_names_its_library() -> None:
    (resource,) = step(apply(), "guide")["input"]
    assert resource["valueCanonical"] == f"{BASE}/Library/knee-oa-guide|1.0.0"


def test_steps_of_an_event_without_a_date_are_planned_and_not_dated() -> None:
    task = step(apply(), "m6-oks")
    assert task["status"] == "draft"
    assert "restriction" not in task


def test_windows_around_the_operation() -> None:
    plan = apply({"received": date(2026, 1, 5), "operation": date(2026, 9, 1)})
    assert step(plan, "pre-op-oks")["restriction"]["period"] == {"start": "2026-07-07", "end": "2026-08-31"}
    assert step(plan, "wound-check")["restriction"]["period"] == {"start": "2026-09-13", "end": "2026-09-22"}
    assert step(plan, "m6-oks")["restriction"]["period"] == {"start": "2027-02-01", "end": "2027-06-01"}


def test_a_year_after_an_operation_on_a_leap_day() -> None:
    plan = apply({"operation": date(2028, 2, 29)})
    assert step(plan, "discharge")["restriction"]["period"] == {"start": "2029-02-28", "end": "2029-05-29"}


@pytest.mark.parametrize(
    ("today", "status"),
    [("2026-06-06", "draft"), ("2026-06-07", "requested"), ("2026-06-28", "requested"), ("2026-06-29", "failed")],
)
def test_a_step_opens_and_closes_with_its_window(today: str, status: str) -> None:
    """Accepted on 3 May, the review is due on 14 June, from 7 days before to 14 after."""
    now = datetime.fromisoformat(f"{today}T12:00").replace(tzinfo=LONDON)
    task = step(apply({"accepted": date(2026, 5, 3)}, now), "w6-oks")
    assert task["status"] == status
    assert ("statusReason" in task) == (status == "failed")


def test_a_step_of_staff_is_overdue_and_not_missed() -> None:
    assert step(apply({"received": date(2025, 1, 1)}), "triage")["status"] == "requested"


def test_a_day_begins_in_the_servers_zone() -> None:
    """23:30 UTC on 6 June is 7 June in London, the first day of the window."""
    now = datetime(2026, 6, 6, 23, 30, tzinfo=ZoneInfo("UTC")).astimezone(LONDON)
    assert step(apply({"accepted": date(2026, 5, 3)}, now), "w6-oks")["status"] == "requested"


def test_an_appointment_is_proposed_and_points_to_the_plan() -> None:
    appointment = step(apply({"listed": date(2026, 3, 2)}), "pre-op-class")
    assert appointment["status"] == "proposed"
    assert appointment["requestedPeriod"] == [{"start": "2026-03-02", "end": "2026-04-13"}]
    assert appointment["supportingInformation"] == [{"reference": "CarePlan/id-1"}]
    assert "basedOn" not in appointment
    assert "start" not in appointment


def test_a_service_request() -> None:
    request = step(apply({"accepted": date(2026, 3, 1)}), "supervised-exercise")
    assert (request["status"], request["intent"]) == ("active", "plan")
    assert request["occurrencePeriod"] == {"start": "2026-03-01", "end": "2026-05-24"}


def test_who_asks() -> None:
    plan = apply(practitioner="Practitioner/pr", organization="Organization/o", encounter="Encounter/e")
    task = step(plan, "triage")
    assert plan.care_plan["author"] == task["requester"] == task["owner"] == {"reference": "Practitioner/pr"}
    assert plan.care_plan["encounter"] == task["encounter"] == {"reference": "Encounter/e"}


@pytest.mark.parametrize(
    ("plan", "expression"),
    [
        (changed("action", value=[]), "PlanDefinition.action"),
        (changed("action", 3, "condition", value=[{"kind": "applicability"}]), "PlanDefinition.action[3].condition"),
        (changed("action", 2, "action", value=[{}]), "PlanDefinition.action[2].definition"),
        (changed("action", 0, "definitionCanonical", value=None), "PlanDefinition.action[0].definitionCanonical"),
        (
            changed("action", 5, "extension", 0, "extension", 1, "valueDuration", "code", value="mo"),
            "PlanDefinition.action[5].extension",
        ),
        (changed("action", 5, "extension", 1, "extension", value=[{"url": "x"}]), "PlanDefinition.action[5].extension"),
    ],
)
def test_a_plan_that_cannot_be_applied(plan: dict[str, Any], expression: str) -> None:
    with pytest.raises(FhirError) as refusal:
        read_pathway(plan, BASE)
    assert (refusal.value.status, refusal.value.issues[0].expression) == (422, expression)


@pytest.mark.parametrize("status", ["retired", "draft"])
def test_a_plan_that_is_not_active(status: str) -> None:
    with pytest.raises(FhirError) as refusal:
        check_active(changed("status", value=status))
    assert (refusal.value.status, refusal.value.issues[0].expression) == (422, "PlanDefinition.status")


def test_every_missing_activity_is_named() -> None:
    known = {canonical: activity for canonical, activity in ACTIVITIES.items() if "answer-oks" not in canonical}
    with pytest.raises(FhirError) as refusal:
        apply_pathway(read_pathway(PLAN, BASE), known, Context("Patient/p-1", {}, NOW, numbered(), BASE))
    expected = [
        f"PlanDefinition.action[{index}].definitionCanonical"
        for index, action in enumerate(PLAN["action"])
        if action["id"].endswith("-oks")
    ]
    assert [issue.expression for issue in refusal.value.issues] == expected


def test_an_activity_of_a_kind_that_is_no_step() -> None:
    canonical = f"{BASE}/ActivityDefinition/answer-oks|1.0.0"
    medication = {**ACTIVITIES[canonical], "kind": "MedicationRequest"}
    with pytest.raises(FhirError) as refusal:
        apply_pathway(
            read_pathway(PLAN, BASE),
            {**ACTIVITIES, canonical: medication},
            Context("Patient/p-1", {}, NOW, numbered(), BASE),
        )
    assert {issue.code for issue in refusal.value.issues} == {"not-supported"}


@pytest.mark.parametrize(
    ("anchors", "event"),
    [
        ({"received": date(2026, 3, 2), "operation": date(2026, 3, 1)}, "operation"),
        ({"received": date(2026, 3, 2), "birth": date(2026, 4, 1)}, "birth"),
    ],
)
def test_an_anchor_that_cannot_be(anchors: dict[str, date], event: str) -> None:
    with pytest.raises(FhirError) as refusal:
        apply(anchors)
    assert refusal.value.issues[0].expression == anchor(event)


@pytest.mark.parametrize(
    ("day", "born"),
    [
        (date.max, None),
        (date.min, None),
        (date(1899, 12, 31), None),
        (date(206, 2, 2), None),
        (date(1926, 3, 2), "1960-05-01"),
        (date(1960, 4, 30), "1960-05-01"),
        (date(1959, 12, 31), "1960"),
        (date(1960, 4, 30), "1960-05"),
    ],
)
def test_a_day_that_cannot_be_the_patients(day: date, born: str | None) -> None:
    with pytest.raises(FhirError) as refusal:
        apply({"received": day}, born=born)
    (issue,) = refusal.value.issues
    assert (refusal.value.status, issue.expression) == (422, anchor("received"))
    assert str(day) in issue.diagnostics


@pytest.mark.parametrize(
    ("day", "born"), [(date(1900, 1, 1), None), (date(1960, 5, 1), "1960-05-01"), (date(1960, 1, 1), "1960")]
)
def test_an_old_referral_is_applied(day: date, born: str | None) -> None:
    assert apply({"received": day}, born=born).care_plan["period"] == {"start": day.isoformat()}


def test_the_last_day_whose_windows_are_in_the_calendar() -> None:
    """Discharge is due 365 days after the operation, and may be up to 90 days late: 455 days before 9999-12-31."""
    last = date(9998, 10, 2)
    assert step(apply({"operation": last}), "discharge")["restriction"]["period"]["end"] == "9999-12-31"
    with pytest.raises(FhirError) as refusal:
        apply({"operation": date(9998, 10, 3)})
    assert refusal.value.issues[0].expression == anchor("operation")


@pytest.mark.parametrize("status", ["draft", "retired", "unknown"])
def test_an_activity_that_is_here_but_not_active(status: str) -> None:
    canonical = f"{BASE}/ActivityDefinition/triage-knee-referral|1.0.0"
    activities = {**ACTIVITIES, canonical: {**ACTIVITIES[canonical], "status": status}}
    with pytest.raises(FhirError) as refusal:
        apply_pathway(read_pathway(PLAN, BASE), activities, Context("Patient/p-1", {}, NOW, numbered(), BASE))
    (issue,) = refusal.value.issues
    assert f"{canonical} is {status}: only an active one" in issue.diagnostics
    assert issue.code == "business-rule"


def test_an_activity_named_without_its_version() -> None:
    url = f"{BASE}/ActivityDefinition/answer-oks"
    plan = read_pathway(changed("action", 0, "definitionCanonical", value=url), BASE)
    with pytest.raises(FhirError) as refusal:
        apply_pathway(plan, ACTIVITIES, Context("Patient/p-1", {}, NOW, numbered(), BASE))
    (issue,) = refusal.value.issues
    assert issue.expression == "PlanDefinition.action[0].definitionCanonical"
    assert "version" in issue.diagnostics


def test_an_anchor_for_a_plan_that_has_none() -> None:
    plan = json.loads(json.dumps(PLAN))
    for action in plan["action"]:
        action.pop("extension")
    with pytest.raises(FhirError) as refusal:
        apply_pathway(
            read_pathway(plan, BASE),
            ACTIVITIES,
            Context("Patient/p-1", {"received": date(2026, 3, 2)}, NOW, numbered(), BASE),
        )
    assert refusal.value.issues[0].diagnostics.endswith("counted from received: none of its steps has an anchor.")


@pytest.mark.parametrize(
    ("first", "second"), [("improving", "not-improving"), ("operation", "listed"), ("operation", "accepted")]
)
def test_anchors_that_contradict_each_other(first: str, second: str) -> None:
    """Improving and not improving are two ends of one review; triage, then listing, then operation."""
    with pytest.raises(FhirError) as refusal:
        apply({"received": date(2026, 1, 1), first: date(2026, 3, 1), second: date(2026, 3, 2)})
    assert refusal.value.status == 422
    assert {issue.expression for issue in refusal.value.issues} == {anchor(event) for event in (first, second)}
    assert all(first in issue.diagnostics and second in issue.diagnostics for issue in refusal.value.issues)


def test_anchors_on_the_same_day_and_in_order() -> None:
    day = date(2026, 3, 1)
    assert apply(dict.fromkeys(("received", "accepted", "not-improving", "listed", "operation"), day)).steps
    assert apply({"received": day, "accepted": day, "improving": date(2026, 4, 12), "listed": date(2027, 1, 1)}).steps


def test_a_plan_that_says_no_order_has_none() -> None:
    plan = {element: value for element, value in PLAN.items() if element != "extension"}
    anchors = {"received": date(2026, 3, 2), "listed": date(2026, 3, 4), "operation": date(2026, 3, 3)}
    context = Context("Patient/p-1", anchors, NOW, numbered(), BASE)
    assert apply_pathway(read_pathway(plan, BASE), ACTIVITIES, context).steps


@pytest.mark.parametrize(
    "orders",
    [
        [{"after": "listed"}],
        [{"event": "listed", "after": "listed"}],
        [{"event": "listed", "after": "operation"}, {"event": "operation", "after": "listed"}],
        [{"event": "listed", "after": "received"}, {"event": "listed", "after": "accepted"}],
    ],
)
def test_an_order_that_cannot_be(orders: list[dict[str, str]]) -> None:
    url = f"{BASE}/StructureDefinition/msk-anchor-order"
    extensions = [
        {"url": url, "extension": [{"url": part, "valueCode": code} for part, code in order.items()]}
        for order in orders
    ]
    with pytest.raises(FhirError) as refusal:
        read_pathway({**PLAN, "extension": extensions}, BASE)
    assert refusal.value.issues[0].expression == "PlanDefinition.extension"
