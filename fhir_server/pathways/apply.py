"""From a pathway and a patient to a CarePlan and the resource of each step: a pure function.

R4 plandefinition-operation-apply.html, careplan.html, task.html, appointment.html. How this differs from R4's single
RequestGroup: docs/spec-clarifications/apply.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.definition import Pathway, Step, Window
from fhir_server.pathways.supported import COLLECT_WITH, activity_issues, takes_priority

SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"

RECEIVED = "received"
"""The anchor that is today when it is not given."""

EARLIEST = date(1900, 1, 1)
"""A day before it is a slip of the pen: nobody alive was referred then."""


@dataclass(frozen=True, slots=True)
class Context:
    """Who and when a pathway is applied for; references are `Type/id`."""

    subject: str
    anchors: dict[str, date]
    now: datetime
    """In the server's time zone: its date decides which windows are open."""
    new_id: Callable[[], str]
    canonical_base: str
    encounter: str | None = None
    practitioner: str | None = None
    organization: str | None = None
    born: str | None = None
    """The patient's birthDate, as precise as it is known."""

    @property
    def requester(self) -> str | None:
        return self.practitioner or self.organization


@dataclass(frozen=True, slots=True)
class AppliedPlan:
    """The CarePlan, and one resource per step in the order of the pathway."""

    care_plan: dict[str, Any]
    steps: list[dict[str, Any]]


def apply_pathway(pathway: Pathway, activities: dict[str, dict[str, Any]], context: Context) -> AppliedPlan:
    """Make the plan; `activities` are the ActivityDefinitions by canonical.

    Raises BusinessRule (422) naming every action whose ActivityDefinition is missing or of another kind, every
    element of one that is not carried out, and an anchor that the pathway does not have or whose date cannot be.
    """
    _check_anchors(pathway, context)
    _check_activities(pathway, activities)
    plan_id = context.new_id()
    steps = [_step_resource(step, activities[step.activity], plan_id, context) for step in pathway.steps]
    return AppliedPlan(_care_plan(pathway, plan_id, steps, context), steps)


def _check_anchors(pathway: Pathway, context: Context) -> None:
    for event, day in context.anchors.items():
        fault = _fault_of_event(pathway, event) or _fault_of_day(pathway, event, day, context.born)
        if fault:
            raise BusinessRule(fault, expression=_parameter(event))
    contradiction = pathway.order.contradiction(context.anchors)
    if contradiction:
        event, other, reason = contradiction
        issues = [Issue("business-rule", reason, _parameter(name)) for name in (event, other)]
        raise BusinessRule(reason, issues=issues)


def _parameter(event: str) -> str:
    return f"Parameters.parameter.where(name='{event}').value"


def _fault_of_event(pathway: Pathway, event: str) -> str | None:
    if event in pathway.events:
        return None
    anchors = f"its anchors are {', '.join(pathway.events)}" if pathway.events else "none of its steps has an anchor"
    return f"No step of {pathway.canonical} is counted from {event}: {anchors}."


def _fault_of_day(pathway: Pathway, event: str, day: date, born: str | None) -> str | None:
    """Why nothing can have happened to the patient on `day`, or be counted from it."""
    if day < EARLIEST:
        return f"{event} ({day}) lies before {EARLIEST}."
    if born and day.isoformat()[: len(born)] < born:
        return f"{event} ({day}) lies before the patient was born ({born})."
    for step in pathway.steps:
        if step.timing and step.timing.event == event and step.timing.window(day) is None:
            return f"{step.expression}, counted from {event} ({day}), would fall outside the years 1 to 9999."
    return None


def _check_activities(pathway: Pathway, activities: dict[str, dict[str, Any]]) -> None:
    issues: list[Issue] = []
    for step in pathway.steps:
        expression = f"{step.expression}.definitionCanonical"
        activity = activities.get(step.activity)
        if activity is None:
            issues.append(Issue("not-found", _missing(step.activity), expression))
        elif activity.get("status") != "active":
            text = f"{step.activity} is {activity.get('status')}: only an active one can be used."
            issues.append(Issue("business-rule", text, expression))
        elif activity.get("kind") not in _BUILDERS:
            allowed = ", ".join(_BUILDERS)
            issues.append(
                Issue("not-supported", f"{step.activity} is not of a kind that can be a step ({allowed}).", expression)
            )
        elif step.priority and not takes_priority(activity["kind"]):
            text = "An appointment has no priority of this kind: leave it out."
            issues.append(Issue("not-supported", text, f"{step.expression}.priority"))
    for canonical in dict.fromkeys(step.activity for step in pathway.steps):
        if activities.get(canonical, {}).get("kind") in _BUILDERS:
            issues += activity_issues(activities[canonical], canonical)
    if issues:
        raise BusinessRule("The plan cannot be applied as it stands.", issues=issues)


def _missing(canonical: str) -> str:
    if "|" not in canonical:
        return f"{canonical} needs the version of the ActivityDefinition: [url]|[version]."
    return f"There is no ActivityDefinition {canonical}: store it."


def _care_plan(pathway: Pathway, plan_id: str, steps: list[dict[str, Any]], context: Context) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "resourceType": "CarePlan",
        "id": plan_id,
        "extension": [_anchor_date(event, day, context) for event, day in context.anchors.items()],
        "instantiatesCanonical": [pathway.canonical],
        "status": "active",
        "intent": "plan",
        "title": pathway.title,
        "subject": {"reference": context.subject},
    }
    if not plan["extension"]:
        del plan["extension"]
    _refer(plan, "encounter", context.encounter)
    plan["period"] = {"start": min(context.anchors.values(), default=context.now.date()).isoformat()}
    plan["created"] = _moment(context)
    _refer(plan, "author", context.requester)
    plan["activity"] = [{"reference": {"reference": f"{step['resourceType']}/{step['id']}"}} for step in steps]
    return plan


def _anchor_date(event: str, day: date, context: Context) -> dict[str, Any]:
    return {
        "url": f"{context.canonical_base}/StructureDefinition/msk-anchor-date",
        "extension": [{"url": "event", "valueCode": event}, {"url": "date", "valueDate": day.isoformat()}],
    }


def _step_resource(step: Step, activity: dict[str, Any], plan_id: str, context: Context) -> dict[str, Any]:
    anchor = context.anchors.get(step.timing.event) if step.timing else None
    window = step.timing.window(anchor) if step.timing and anchor else None
    resource: dict[str, Any] = {"resourceType": activity["kind"], "id": context.new_id()}
    if step.extensions:
        resource["extension"] = step.extensions
    _BUILDERS[activity["kind"]](resource, step, activity, window, f"CarePlan/{plan_id}", context)
    return resource


def _task(
    task: dict[str, Any], step: Step, activity: dict[str, Any], window: Window | None, plan: str, context: Context
) -> None:
    """Task has instantiatesCanonical 0..1 in R4 and is owned by whoever the activity is for."""
    for_patient = _is_for_patient(activity)
    status, reason = _task_status(window, context.now.date(), for_patient)
    task["instantiatesCanonical"] = step.activity
    task["basedOn"] = [{"reference": plan}]
    task["status"] = status
    if reason:
        task["statusReason"] = {
            "coding": [{"system": f"{context.canonical_base}/CodeSystem/msk-step-reason", "code": reason}]
        }
    task["intent"] = activity.get("intent", "plan")
    _prioritise(task, step, activity)
    code = _task_code(activity)
    if code:
        task["code"] = code
    task["description"] = step.title
    task["for"] = {"reference": context.subject}
    _refer(task, "encounter", context.encounter)
    task["authoredOn"] = task["lastModified"] = _moment(context)
    _refer(task, "requester", context.requester)
    _refer(task, "owner", context.subject if for_patient else context.requester)
    if window:
        task["restriction"] = {"period": _period(window)}
    inputs = _task_inputs(activity, context)
    if inputs:
        task["input"] = inputs


def _task_status(window: Window | None, today: date, for_patient: bool) -> tuple[str, str | None]:
    """Planned before its window (or without one), available in it; after it, missed by a patient, overdue for staff."""
    if window is None or today < window.start:
        return "draft", None
    if today > window.end and for_patient:
        return "failed", "window-closed"
    return "requested", None


def _task_code(activity: dict[str, Any]) -> dict[str, Any]:
    code = activity.get("code", {})
    codings = list(code.get("coding", []))
    if _collect_with(activity):
        codings.append({"system": SDC, "code": "complete-questionnaire", "display": "Complete Questionnaire"})
    return {**code, "coding": codings} if codings else dict(code)


def _task_inputs(activity: dict[str, Any], context: Context) -> list[dict[str, Any]]:
    """The Questionnaire as SDC's Task profile names it, and the Library to be viewed."""
    inputs = []
    questionnaire = _collect_with(activity)
    if questionnaire:
        inputs.append((SDC, "questionnaire", questionnaire))
    for artifact in activity.get("relatedArtifact", []):
        if artifact.get("type") == "documentation" and "resource" in artifact:
            inputs.append((f"{context.canonical_base}/CodeSystem/msk-task-input", "resource", artifact["resource"]))
    return [
        {"type": {"coding": [{"system": system, "code": code}]}, "valueCanonical": canonical}
        for system, code, canonical in inputs
    ]


def _collect_with(activity: dict[str, Any]) -> str | None:
    for extension in activity.get("extension", []):
        if extension["url"] == COLLECT_WITH:
            return str(extension["valueCanonical"])
    return None


def _appointment(
    appointment: dict[str, Any],
    step: Step,
    activity: dict[str, Any],
    window: Window | None,
    plan: str,
    context: Context,
) -> None:
    """R4 lets Appointment.basedOn refer to a ServiceRequest only, so the plan stands in supportingInformation."""
    appointment["status"] = "proposed"
    appointment["serviceType"] = [activity["code"]] if "code" in activity else []
    if not appointment["serviceType"]:
        del appointment["serviceType"]
    appointment["description"] = step.title
    appointment["supportingInformation"] = [{"reference": plan}]
    appointment["created"] = _moment(context)
    appointment["participant"] = [{"actor": {"reference": context.subject}, "status": "needs-action"}]
    if window:
        appointment["requestedPeriod"] = [_period(window)]


def _service_request(
    request: dict[str, Any], step: Step, activity: dict[str, Any], window: Window | None, plan: str, context: Context
) -> None:
    request["instantiatesCanonical"] = [step.activity]
    request["basedOn"] = [{"reference": plan}]
    request["status"] = "active" if window and window.start <= context.now.date() else "draft"
    request["intent"] = activity.get("intent", "plan")
    _prioritise(request, step, activity)
    if activity.get("doNotPerform"):
        request["doNotPerform"] = True
    if "code" in activity:
        request["code"] = activity["code"]
    request["subject"] = {"reference": context.subject}
    _refer(request, "encounter", context.encounter)
    if window:
        request["occurrencePeriod"] = _period(window)
    request["authoredOn"] = _moment(context)
    _refer(request, "requester", context.requester)


_Builder = Callable[[dict[str, Any], Step, dict[str, Any], Window | None, str, Context], None]
_BUILDERS: dict[str, _Builder] = {"Task": _task, "Appointment": _appointment, "ServiceRequest": _service_request}
"""By ActivityDefinition.kind: what R4 lets CarePlan.activity.reference refer to, and the pathways need."""


def _prioritise(resource: dict[str, Any], step: Step, activity: dict[str, Any]) -> None:
    """The action's priority comes before its activity's."""
    priority = step.priority or activity.get("priority")
    if priority:
        resource["priority"] = priority


def _is_for_patient(activity: dict[str, Any]) -> bool:
    return any(participant.get("type") == "patient" for participant in activity.get("participant", []))


def _period(window: Window) -> dict[str, str]:
    """R4 datatypes.html#Period: a date as end includes the whole day."""
    return {"start": window.start.isoformat(), "end": window.end.isoformat()}


def _moment(context: Context) -> str:
    return context.now.isoformat(timespec="seconds")


def _refer(resource: dict[str, Any], element: str, reference: str | None) -> None:
    if reference:
        resource[element] = {"reference": reference}
