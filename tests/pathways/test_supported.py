"""Nothing of a definition is ignored in silence: carried out, purely descriptive, or refused with its element named.

R4 activitydefinition.html, plandefinition.html, and what Task, ServiceRequest and Appointment can hold.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fhir_server import spec
from fhir_server.errors import FhirError
from fhir_server.pathways.apply import apply_pathway
from fhir_server.pathways.apply_steps import Context
from fhir_server.pathways.definition_reading import read_pathway
from fhir_server.validation import validate
from tests.pathways.test_apply import ACTIVITIES, BASE, NOW, PLAN, changed, numbered

DURATION = {"value": 1, "system": "http://unitsofmeasure.org", "code": "d"}
TEXT = {"text": "synthetic"}
FHIRPATH = {"language": "text/fhirpath", "expression": "true"}
EXPRESSION = {"path": "status", "expression": {"language": "text/fhirpath", "expression": "'draft'"}}
COLLECT_WITH = ACTIVITIES[f"{BASE}/ActivityDefinition/answer-oks|1.0.0"]["extension"]
CODED = {"Task": "answer-oks", "Appointment": "orthopaedic-appointment", "ServiceRequest": "supervised-knee-exercise"}
"""A shipped activity of each kind."""

DESCRIPTIVE: dict[str, Any] = {
    "language": "en",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "identifier": [{"value": "x"}],
    "subtitle": "x",
    "contact": [{"name": "x"}],
    "jurisdiction": [TEXT],
    "purpose": "x",
    "usage": "x",
    "copyright": "x",
    "effectivePeriod": {"start": "2026-01-01"},
    "topic": [TEXT],
    "author": [{"name": "x"}],
    "editor": [{"name": "x"}],
    "reviewer": [{"name": "x"}],
    "endorser": [{"name": "x"}],
    "relatedArtifact": [{"type": "citation", "citation": "x"}],
    "_title": {"extension": [{"url": "https://example.org/x", "valueString": "x"}]},
}


def action_type(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/action-type", "code": code}]}


def made(kind: str, **elements: Any) -> dict[str, Any]:
    """The resource of a step whose activity has these elements too; None takes one away."""
    return applied(kind, PLAN, **elements)


def applied(kind: str, plan: dict[str, Any], **elements: Any) -> dict[str, Any]:
    canonical = f"{BASE}/ActivityDefinition/{CODED[kind]}|1.0.0"
    activity = {name: value for name, value in {**ACTIVITIES[canonical], **elements}.items() if value is not None}
    context = Context("Patient/p-1", {"received": date(2026, 3, 2)}, NOW, numbered(), BASE)
    result = apply_pathway(read_pathway(plan, BASE), {**ACTIVITIES, canonical: activity}, context)
    for resource in result.steps:
        validate(resource)
    (index, *_) = (n for n, action in enumerate(plan["action"]) if action["definitionCanonical"] == canonical)
    return result.steps[index]


def refused(kind: str, **elements: Any) -> FhirError:
    with pytest.raises(FhirError) as refusal:
        made(kind, **elements)
    return refusal.value


@pytest.mark.parametrize("kind", ["Task", "ServiceRequest"])
def test_priority_of_an_activity_is_its_resources(kind: str) -> None:
    assert made(kind, priority="urgent")["priority"] == "urgent"
    assert "priority" not in made(kind)


def test_priority_of_the_action_comes_first() -> None:
    index = next(n for n, action in enumerate(PLAN["action"]) if action["id"] == "baseline-oks")
    plan = changed("action", index, "priority", value="stat")
    assert applied("Task", plan)["priority"] == "stat"
    assert applied("Task", plan, priority="routine")["priority"] == "stat"


def test_the_priority_of_an_action_that_is_an_appointment() -> None:
    """R4 appointment.html: Appointment.priority is a number of iCalendar, not a code of request-priority."""
    index = next(n for n, action in enumerate(PLAN["action"]) if "orthopaedic" in action["definitionCanonical"])
    with pytest.raises(FhirError) as refusal:
        applied("Appointment", changed("action", index, "priority", value="stat"))
    (issue,) = refusal.value.issues
    assert (issue.code, issue.expression) == ("not-supported", f"PlanDefinition.action[{index}].priority")


@pytest.mark.parametrize("kind", ["Task", "ServiceRequest"])
def test_intent_of_an_activity_is_its_resources(kind: str) -> None:
    assert made(kind, intent="order")["intent"] == "order"
    assert made(kind, intent=None)["intent"] == "plan"


def test_a_directive_is_a_service_request_only() -> None:
    """R4 valueset-task-intent.html has no directive; valueset-request-intent.html has."""
    assert made("ServiceRequest", intent="directive")["intent"] == "directive"
    assert refused("Task", intent="directive").issues[0].expression == "ActivityDefinition.intent"


@pytest.mark.parametrize("intent", ["proposal", "plan"])
def test_an_appointment_is_a_proposal(intent: str) -> None:
    assert made("Appointment", intent=intent)["status"] == "proposed"


def test_what_must_not_be_done_is_a_service_request_only() -> None:
    """R4 servicerequest.html has doNotPerform; task.html and appointment.html have not."""
    assert made("ServiceRequest", doNotPerform=True)["doNotPerform"] is True
    assert "doNotPerform" not in made("ServiceRequest", doNotPerform=False)
    assert made("Task", doNotPerform=False)["resourceType"] == "Task"


@pytest.mark.parametrize(
    ("kind", "element", "value", "expression"),
    [
        ("Task", "doNotPerform", True, "doNotPerform"),
        ("Appointment", "doNotPerform", True, "doNotPerform"),
        ("Appointment", "priority", "urgent", "priority"),
        ("Appointment", "intent", "order", "intent"),
        ("Task", "dynamicValue", [EXPRESSION], "dynamicValue"),
        ("Task", "timingDuration", DURATION, "timing"),
        ("Task", "timingTiming", {"repeat": {"frequency": 2}}, "timing"),
        ("Task", "location", {"reference": "Location/x"}, "location"),
        ("ServiceRequest", "quantity", {"value": 2}, "quantity"),
        ("ServiceRequest", "productCodeableConcept", TEXT, "product"),
        ("ServiceRequest", "dosage", [TEXT], "dosage"),
        ("ServiceRequest", "bodySite", [TEXT], "bodySite"),
        ("ServiceRequest", "specimenRequirement", [{"reference": "SpecimenDefinition/x"}], "specimenRequirement"),
        ("Task", "observationRequirement", [{"reference": "ObservationDefinition/x"}], "observationRequirement"),
        ("Task", "observationResultRequirement", [{"display": "x"}], "observationResultRequirement"),
        ("Task", "transform", "https://example.org/StructureMap/x", "transform"),
        ("Task", "profile", "https://example.org/StructureDefinition/x", "profile"),
        ("Task", "library", ["https://example.org/Library/x"], "library"),
        ("Task", "implicitRules", "https://example.org/rules", "implicitRules"),
        ("Task", "modifierExtension", [{"url": "https://example.org/x", "valueCode": "x"}], "modifierExtension"),
        ("Task", "subjectReference", {"reference": "Group/x"}, "subject"),
        ("Task", "subjectCodeableConcept", TEXT, "subject"),
        ("Task", "participant", [{"type": "related-person"}], "participant"),
        ("Task", "participant", [{"type": "practitioner", "role": TEXT}], "participant"),
        ("Task", "participant", [{"type": "patient"}, {"type": "practitioner"}], "participant"),
        ("ServiceRequest", "extension", COLLECT_WITH, "extension"),
    ],
)  # fmt: skip
def test_what_is_not_carried_out_is_refused(kind: str, element: str, value: Any, expression: str) -> None:
    taken = {"subjectCodeableConcept": None} if element == "subjectReference" else {}
    refusal = refused(kind, **taken, **{element: value})
    assert refusal.status == 422
    (issue,) = refusal.issues
    assert (issue.code, issue.expression) == ("not-supported", f"ActivityDefinition.{expression}")
    assert f"ActivityDefinition/{CODED[kind]}|1.0.0" in issue.diagnostics


def test_every_fault_is_named_at_once() -> None:
    refusal = refused("Task", dynamicValue=[EXPRESSION], location={"reference": "Location/x"})
    assert {issue.expression for issue in refusal.issues} == {
        "ActivityDefinition.dynamicValue",
        "ActivityDefinition.location",
    }


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("selectionBehavior", "exactly-one"),
        ("selectionBehavior", "at-most-one"),
        ("selectionBehavior", "one-or-more"),
        ("selectionBehavior", "all-or-none"),
        ("groupingBehavior", "sentence-group"),
        ("requiredBehavior", "could"),
        ("requiredBehavior", "must-unless-documented"),
        ("cardinalityBehavior", "multiple"),
        ("precheckBehavior", "yes"),
        ("dynamicValue", [{"path": "priority", "expression": FHIRPATH}]),
        ("definitionCanonical", "https://example.org/ActivityDefinition/x|1"),
        ("timingTiming", {"repeat": {"count": 2, "period": 1, "periodUnit": "d"}}),
    ],
)
def test_what_is_not_carried_out_of_a_group(element: str, value: Any) -> None:
    plan = changed("action", 4, value={"id": "group", "action": [PLAN["action"][4]], element: value})
    name = {"definitionCanonical": "definition", "timingTiming": "timing"}.get(element, element)
    assert refusals(plan) == [("not-supported", f"PlanDefinition.action[4].{name}")]


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("selectionBehavior", "any"),
        ("selectionBehavior", "all"),
        ("groupingBehavior", "logical-group"),
        ("groupingBehavior", "visual-group"),
        ("requiredBehavior", "must"),
        ("cardinalityBehavior", "single"),
    ],
)
def test_a_group_whose_actions_are_all_made(element: str, value: str) -> None:
    """R4 action-selection-behavior and the like: what needs nobody's choice."""
    plan = changed("action", 4, value={"id": "group", "action": [PLAN["action"][4]], element: value})
    assert len(read_pathway(plan, BASE).steps) == len(PLAN["action"])


@pytest.mark.parametrize("element", sorted(DESCRIPTIVE))
def test_what_only_describes_passes(element: str) -> None:
    assert made("ServiceRequest", **{element: DESCRIPTIVE[element]})["resourceType"] == "ServiceRequest"
    assert read_pathway({**PLAN, element: DESCRIPTIVE[element]}, BASE).steps


def test_a_task_without_a_code_has_none() -> None:
    """R4 json.html: an object is never empty."""
    assert "code" not in made("Task", code=None, extension=None)


@pytest.mark.parametrize(
    ("element", "value", "expression"),
    [
        ("library", ["https://example.org/Library/x"], "library"),
        ("implicitRules", "https://example.org/rules", "implicitRules"),
        ("modifierExtension", [{"url": "https://example.org/x", "valueCode": "x"}], "modifierExtension"),
        ("subjectReference", {"reference": "Group/x"}, "subject"),
        ("subjectCodeableConcept", TEXT, "subject"),
    ],
)
def test_what_is_not_carried_out_of_a_plan(element: str, value: Any, expression: str) -> None:
    plan = changed(element, value=value)
    if element == "subjectReference":
        del plan["subjectCodeableConcept"]
    assert refusals(plan) == [("not-supported", f"PlanDefinition.{expression}")]


@pytest.mark.parametrize(
    ("element", "value", "expression"),
    [
        ("timingDuration", DURATION, "timing"),
        ("timingDateTime", "2026-03-02", "timing"),
        ("selectionBehavior", "exactly-one", "selectionBehavior"),
        ("cardinalityBehavior", "multiple", "cardinalityBehavior"),
        ("precheckBehavior", "yes", "precheckBehavior"),
        ("requiredBehavior", "could", "requiredBehavior"),
        ("groupingBehavior", "visual-group", "groupingBehavior"),
        ("participant", [{"type": "patient"}], "participant"),
        ("transform", "https://example.org/StructureMap/x", "transform"),
        ("subjectCodeableConcept", TEXT, "subject"),
        ("subjectReference", {"reference": "Group/x"}, "subject"),
        ("timingTiming", {"code": TEXT}, "timing"),
        ("timingTiming", {"repeat": {"count": 2, "period": 1, "periodUnit": "d", "frequency": 2}}, "timing"),
        ("input", [{"type": "Patient"}], "input"),
        ("output", [{"type": "Patient"}], "output"),
        ("reason", [TEXT], "reason"),
        ("relatedAction", [{"actionId": "x", "relationship": "before-start"}], "relatedAction"),
        ("relatedAction", [{"actionId": "x", "relationship": "after", "offsetRange": {}}], "relatedAction"),
        ("condition", [{"kind": "start", "expression": FHIRPATH}], "condition"),
        ("condition", [{"kind": "applicability", "expression": {**FHIRPATH, "language": "text/cql"}}], "condition"),
        ("condition", [{"kind": "applicability", "expression": {"language": "text/fhirpath"}}], "condition"),
        ("dynamicValue", [{"path": "status", "expression": FHIRPATH}], "dynamicValue"),
        ("dynamicValue", [{"path": "note.where(true)", "expression": FHIRPATH}], "dynamicValue"),
        ("dynamicValue", [EXPRESSION], "dynamicValue"),
        ("definitionUri", "https://example.org/x", "definition"),
        ("modifierExtension", [{"url": "https://example.org/x", "valueCode": "x"}], "modifierExtension"),
        ("type", action_type("remove"), "type"),
    ],
)  # fmt: skip
def test_what_is_not_carried_out_of_an_action(element: str, value: Any, expression: str) -> None:
    assert refusals(changed("action", 4, element, value=value)) == [
        ("not-supported", f"PlanDefinition.action[4].{expression}")
    ]


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("description", "x"),
        ("textEquivalent", "x"),
        ("prefix", "x"),
        ("code", [TEXT]),
        ("trigger", [{"type": "named-event", "name": "x"}]),
        ("goalId", ["x"]),
        ("documentation", [{"type": "documentation"}]),
        ("subjectCodeableConcept", PLAN["subjectCodeableConcept"]),
        ("type", action_type("create")),
    ],
)
def test_what_only_describes_an_action_passes(element: str, value: Any) -> None:
    assert read_pathway(changed("action", 4, element, value=value), BASE).steps


def test_every_fault_of_a_plan_is_named_at_once() -> None:
    plan = changed("action", 1, "reason", value=[TEXT])
    plan["action"][2]["condition"] = [{"kind": "applicability"}]
    plan["library"] = ["https://example.org/Library/x"]
    assert [expression for _, expression in refusals(plan)] == [
        "PlanDefinition.library",
        "PlanDefinition.action[1].reason",
        "PlanDefinition.action[2].condition",
    ]


def test_a_window_without_an_anchor() -> None:
    plan = changed("action", 0, "extension", value=PLAN["action"][0]["extension"][1:])
    (refusal,) = refusals(plan)
    assert refusal[1] == "PlanDefinition.action[0].extension"


def refusals(plan: dict[str, Any]) -> list[tuple[str, str | None]]:
    with pytest.raises(FhirError) as refusal:
        read_pathway(plan, BASE)
    assert refusal.value.status == 422
    return [(issue.code, issue.expression) for issue in refusal.value.issues]


def test_the_elements_of_these_tests_are_r4s() -> None:
    known = {name.removesuffix("[x]") for name in spec.structure("PlanDefinition").children["PlanDefinition"]}
    assert {name for name in DESCRIPTIVE if not name.startswith("_")} <= known
