"""What changes in the steps of a plan when an event moves or a step ends: done steps never move, open ones do.

The states of a step: R4 task.html#statemachine as the timeline uses it (docs/spec-clarifications/apply.md, apply-8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.pathways.apply_steps import period, request_status, step_reason, task_status
from fhir_server.pathways.definition import Pathway, Step
from fhir_server.pathways.resolve import GONE, Outcome, Progress, resolve
from fhir_server.pathways.timing import Window

Json = dict[str, Any]

STATUS_REASON = "http://hl7.org/fhir/StructureDefinition/request-statusReason"
"""Why a ServiceRequest is in its state: R4's extension for requests that have no element for it."""

_OVER = {
    "Task": {"completed", "failed", "rejected", "cancelled", "entered-in-error"},
    "Appointment": {"fulfilled", "cancelled", "noshow", "entered-in-error"},
    "ServiceRequest": {"completed", "revoked", "entered-in-error"},
}
_DONE = {"Task": "completed", "Appointment": "fulfilled", "ServiceRequest": "completed"}
_GONE = {"cancelled", "revoked", "entered-in-error"}
_ARRANGED = {"pending", "booked", "arrived", "checked-in", "waitlist"}
"""An Appointment that people have agreed on: it is for them to move it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and where this is: the server's clock and zone."""

    now: datetime
    canonical_base: str

    @property
    def today(self) -> date:
        return self.now.date()


@dataclass(frozen=True, slots=True)
class Replanned:
    """Steps as they are now, of those that change; and what somebody has to look at."""

    changed: list[Json]
    notes: list[str]


def action_of(resource: Json, canonical_base: str) -> str | None:
    """The action that a step was made from (msk-step-action)."""
    url = f"{canonical_base}/StructureDefinition/msk-step-action"
    for extension in resource.get("extension", ()):
        if extension["url"] == url:
            return str(extension["valueString"])
    return None


def replan(
    pathway: Pathway,
    steps: Mapping[str, Json],
    anchors: Mapping[str, date],
    moment: Moment,
    *,
    ended: Mapping[str, date] | None = None,
) -> Replanned:
    """`steps` are the stored resources by action; `ended` says of some when they were done."""
    zone = moment.now.tzinfo
    assert isinstance(zone, ZoneInfo)
    progress = {step.key: GONE for step in pathway.steps if step.key not in steps}
    progress.update((key, _progress(resource, zone, (ended or {}).get(key))) for key, resource in steps.items())
    outcomes = resolve(pathway, anchors, progress)
    replanned = Replanned([], [])
    for step in pathway.steps:
        resource = steps.get(step.key)
        if resource is not None and not progress[step.key].over:
            _settle(step, resource, outcomes[step.key], moment, replanned)
    return replanned


def _progress(resource: Json, zone: ZoneInfo, ended: date | None) -> Progress:
    kind, status = resource["resourceType"], resource["status"]
    over = status in _OVER[kind]
    done = ended is not None or status == _DONE[kind]
    return Progress(over or done, (ended or _done_on(resource, zone)) if done else None, status in _GONE)


def _done_on(resource: Json, zone: ZoneInfo) -> date | None:
    match resource["resourceType"]:
        case "Task":
            text = resource.get("executionPeriod", {}).get("end") or resource.get("lastModified")
        case "Appointment":
            text = resource.get("end") or resource.get("start")
        case _:
            text = None
    text = text or resource.get("meta", {}).get("lastUpdated")
    return None if text is None else day_of(text, zone)


def day_of(text: str, zone: ZoneInfo) -> date | None:
    """The day of a date or dateTime in `zone`; None when it names no whole day."""
    try:
        if len(text) <= 10:
            return date.fromisoformat(text)
        return datetime.fromisoformat(text).astimezone(zone).date()
    except ValueError:
        return None


def _settle(step: Step, resource: Json, outcome: Outcome, moment: Moment, replanned: Replanned) -> None:
    name = f"{resource['resourceType']}/{resource['id']}"
    if resource["status"] in _ARRANGED:
        if outcome.dropped or _window(resource) != _stored(outcome.window):
            replanned.notes.append(
                f"{name} ({step.title}) is {resource['status']} and was left as it is: the plan has other days for it "
                "now, so look whether it has to be moved."
            )
        return
    if outcome.dropped:
        replanned.changed.append(stood_down(resource, outcome.dropped, moment))
    elif step.is_dated and _window(resource) != _stored(outcome.window):
        replanned.changed.append(_moved(resource, outcome.window, moment))


def _stored(window: Window | None) -> Json | None:
    return None if window is None else dict(period(window))


def _window(resource: Json) -> Json | None:
    match resource["resourceType"]:
        case "Task":
            found = resource.get("restriction", {}).get("period")
        case "Appointment":
            found = next(iter(resource.get("requestedPeriod", ())), None)
        case _:
            found = resource.get("occurrencePeriod")
    return found if found is None else dict(found)


def stood_down(resource: Json, reason: str, moment: Moment) -> Json:
    """The step as one that is not to be done any more."""
    why = step_reason(reason, moment.canonical_base)
    match resource["resourceType"]:
        case "Task":
            return _touched({**resource, "status": "cancelled", "statusReason": why}, moment)
        case "Appointment":
            return {**resource, "status": "cancelled", "cancelationReason": why}
    others = [extension for extension in resource.get("extension", ()) if extension["url"] != STATUS_REASON]
    extensions = [*others, {"url": STATUS_REASON, "valueCodeableConcept": why}]
    return {**resource, "extension": extensions, "status": "revoked"}


def _moved(resource: Json, window: Window | None, moment: Moment) -> Json:
    """With other days, and in the state they give it; what the patient has begun stays begun."""
    moved = dict(resource)
    match resource["resourceType"]:
        case "Task":
            _set(moved, "restriction", window and {**moved.get("restriction", {}), "period": period(window)})
            _restate(moved, window, moment)
            return _touched(moved, moment)
        case "Appointment":
            _set(moved, "requestedPeriod", window and [period(window)])
        case _:
            _set(moved, "occurrencePeriod", window and period(window))
            if moved["status"] in ("draft", "active"):
                moved["status"] = request_status(window, moment.today)
    return moved


def _restate(task: Json, window: Window | None, moment: Moment) -> None:
    if task["status"] not in ("draft", "requested", "ready"):
        return
    for_patient = task.get("owner") == task.get("for")
    status, reason = task_status(window, moment.today, for_patient)
    if task["status"] == "ready" and status == "requested":
        return
    task["status"] = status
    _set(task, "statusReason", step_reason(reason, moment.canonical_base) if reason else None)


def _set(resource: Json, element: str, value: Any) -> None:
    if value:
        resource[element] = value
    else:
        resource.pop(element, None)


def _touched(task: Json, moment: Moment) -> Json:
    return {**task, "lastModified": moment.now.isoformat(timespec="seconds")}
