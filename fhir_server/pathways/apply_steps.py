"""The resource of each step of a plan: Task, Appointment or ServiceRequest.

R4 task.html, appointment.html, servicerequest.html; the reference rules: docs/spec-clarifications/apply.md, apply-5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from fhir_server.pathways.apply_dynamic import NoSuchPath, set_value
from fhir_server.pathways.definition import Step
from fhir_server.pathways.resolve import CONDITION_FAILED, Outcome
from fhir_server.pathways.supported import COLLECT_WITH
from fhir_server.pathways.timing import Window
from fhir_server.validation import issues

SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"

STATUS_REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"

WINDOW_CLOSED = "window-closed"
"""Code of CodeSystem msk-step-reason."""


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
    referral: str | None = None
    """The ServiceRequest the plan is made for."""
    referred: date | None = None
    """The day of the referral."""
    laterality: str | None = None
    """Code of CodeSystem msk-laterality."""

    @property
    def requester(self) -> str | None:
        return self.practitioner or self.organization

    @property
    def today(self) -> date:
        return self.now.date()

    def extension(self, name: str) -> str:
        return f"{self.canonical_base}/StructureDefinition/{name}"


def step_resource(
    step: Step, activity: dict[str, Any], outcome: Outcome, plan_id: str, context: Context
) -> tuple[dict[str, Any], str | None]:
    """What `step` is carried out by, in the state that its window gives it today; and what failed, if something did."""
    resource = _built(step, activity, outcome.window, plan_id, context)
    if outcome.values:
        # Its parts are the definition's own.
        resource = deepcopy(resource)
    fault = outcome.fault or set_values(resource, outcome.values)
    if fault is not None:
        # Its dynamic values are not kept by halves.
        resource = {**_built(step, activity, None, plan_id, context), "id": resource["id"]}
        give_reason(resource, CONDITION_FAILED, context.canonical_base, fault)
    elif not step.is_dated:
        make_available(resource)
    return resource, fault


def make_available(resource: dict[str, Any]) -> None:
    """A step that waits for nothing can be done at any time; an Appointment has to be agreed on all the same."""
    if resource["status"] == "draft":
        resource["status"] = {"Task": "requested", "ServiceRequest": "active"}[resource["resourceType"]]


def _built(
    step: Step, activity: dict[str, Any], window: Window | None, plan_id: str, context: Context
) -> dict[str, Any]:
    kind = activity["kind"]
    extensions = [*step.extensions, {"url": context.extension("msk-step-action"), "valueString": step.key}]
    if kind == "ServiceRequest" and context.laterality:
        extensions.append(laterality(context))
    resource: dict[str, Any] = {"resourceType": kind, "id": context.new_id(), "extension": extensions}
    _BUILDERS[kind](resource, step, activity, window, f"CarePlan/{plan_id}", context)
    return resource


def set_values(resource: dict[str, Any], values: Iterable[tuple[str, list[Any]]]) -> str | None:
    """Give the resource its dynamic values; why they cannot be its, None when they can."""
    values = [(path, found) for path, found in values if found]
    try:
        for path, found in values:
            set_value(resource, path, found)
    except (NoSuchPath, AttributeError, TypeError) as error:
        return f"The dynamic values do not fit the {resource['resourceType']}: {error}"
    faults = issues(resource) if values else []
    return f"The dynamic values do not fit: {faults[0].diagnostics}" if faults else None


def give_reason(resource: dict[str, Any], code: str | None, canonical_base: str, text: str | None = None) -> None:
    """Why the step is in its state, or nothing of it any more.

    R4 has a place for it in Task and in an Appointment that is cancelled; elsewhere it is HL7's extension.
    """
    resource.pop("statusReason", None)
    resource.pop("cancelationReason", None)
    kept = [extension for extension in resource.get("extension", ()) if extension["url"] != STATUS_REASON]
    if code is not None:
        concept: dict[str, Any] = {"coding": [{"system": f"{canonical_base}/CodeSystem/msk-step-reason", "code": code}]}
        if text is not None:
            concept["text"] = text[:500]
        if resource["resourceType"] == "Task":
            resource["statusReason"] = concept
        elif resource["status"] == "cancelled":
            resource["cancelationReason"] = concept
        else:
            kept.append({"url": STATUS_REASON, "valueCodeableConcept": concept})
    if kept:
        resource["extension"] = kept
    else:
        resource.pop("extension", None)


def reason_of(resource: dict[str, Any]) -> str | None:
    """Code of msk-step-reason."""
    found = [resource.get("statusReason"), resource.get("cancelationReason")]
    found += [e.get("valueCodeableConcept") for e in resource.get("extension", ()) if e["url"] == STATUS_REASON]
    codes = [coding.get("code") for concept in found if concept for coding in concept.get("coding", ())]
    return codes[0] if codes else None


def laterality(context: Context) -> dict[str, Any]:
    return {"url": context.extension("msk-laterality"), "valueCode": context.laterality}


def _task(
    task: dict[str, Any], step: Step, activity: dict[str, Any], window: Window | None, plan: str, context: Context
) -> None:
    """Task has instantiatesCanonical 0..1 in R4 and is owned by whoever the activity is for."""
    for_patient = _is_for_patient(activity)
    status, reason = task_status(window, context.today, for_patient=for_patient)
    task["instantiatesCanonical"] = step.activity
    task["basedOn"] = [{"reference": plan}]
    task["status"] = status
    if reason:
        give_reason(task, reason, context.canonical_base)
    task["intent"] = activity.get("intent", "plan")
    _prioritise(task, step, activity)
    code = _task_code(activity)
    if code:
        task["code"] = code
    task["description"] = step.title
    task["for"] = {"reference": context.subject}
    refer(task, "encounter", context.encounter)
    task["authoredOn"] = task["lastModified"] = moment(context)
    refer(task, "requester", context.requester)
    refer(task, "owner", context.subject if for_patient else context.requester)
    if window:
        task["restriction"] = {"period": period(window)}
    inputs = _task_inputs(activity, context)
    if inputs:
        task["input"] = inputs


def task_status(window: Window | None, today: date, *, for_patient: bool) -> tuple[str, str | None]:
    """Planned before its window (or without one), available in it; after it, missed by a patient, overdue for staff."""
    if window is None or today < window.start:
        return "draft", None
    if today > window.end and for_patient:
        return "failed", WINDOW_CLOSED
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
    appointment["created"] = moment(context)
    appointment["participant"] = [{"actor": {"reference": context.subject}, "status": "needs-action"}]
    if window:
        appointment["requestedPeriod"] = [period(window)]


def request_status(window: Window | None, today: date) -> str:
    return "active" if window and window.start <= today else "draft"


def _service_request(
    request: dict[str, Any], step: Step, activity: dict[str, Any], window: Window | None, plan: str, context: Context
) -> None:
    request["instantiatesCanonical"] = [step.activity]
    request["basedOn"] = [{"reference": plan}]
    request["status"] = request_status(window, context.today)
    request["intent"] = activity.get("intent", "plan")
    _prioritise(request, step, activity)
    if activity.get("doNotPerform"):
        request["doNotPerform"] = True
    if "code" in activity:
        request["code"] = activity["code"]
    request["subject"] = {"reference": context.subject}
    refer(request, "encounter", context.encounter)
    if window:
        request["occurrencePeriod"] = period(window)
    request["authoredOn"] = moment(context)
    refer(request, "requester", context.requester)


KINDS = ("Task", "Appointment", "ServiceRequest")
"""ActivityDefinition.kind: what R4 lets CarePlan.activity.reference refer to, and the pathways need."""

_Builder = Callable[[dict[str, Any], Step, dict[str, Any], Window | None, str, Context], None]
_BUILDERS: dict[str, _Builder] = dict(zip(KINDS, (_task, _appointment, _service_request), strict=True))


def _prioritise(resource: dict[str, Any], step: Step, activity: dict[str, Any]) -> None:
    """The action's priority comes before its activity's."""
    priority = step.priority or activity.get("priority")
    if priority:
        resource["priority"] = priority


def _is_for_patient(activity: dict[str, Any]) -> bool:
    return any(participant.get("type") == "patient" for participant in activity.get("participant", []))


def period(window: Window) -> dict[str, str]:
    """R4 datatypes.html#Period: a date as end includes the whole day."""
    return {"start": window.start.isoformat(), "end": window.end.isoformat()}


def period_of(resource: dict[str, Any]) -> dict[str, Any] | None:
    """The window of a step."""
    match resource["resourceType"]:
        case "Task":
            found = resource.get("restriction", {}).get("period")
        case "Appointment":
            found = next(iter(resource.get("requestedPeriod", ())), None)
        case _:
            found = resource.get("occurrencePeriod")
    return found if found is None else dict(found)


def moment(context: Context) -> str:
    return context.now.isoformat(timespec="seconds")


def refer(resource: dict[str, Any], element: str, reference: str | None) -> None:
    if reference:
        resource[element] = {"reference": reference}
