"""What changes in the steps of a plan when an event moves or a step ends: done steps never move, open ones do.

The states of a step: R4 task.html#statemachine as the timeline uses it (docs/spec-clarifications/apply.md, apply-8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.errors import Issue
from fhir_server.pathways.apply import condition_failed
from fhir_server.pathways.apply_steps import (
    give_reason,
    make_available,
    period,
    period_of,
    reason_of,
    request_status,
    set_values,
    task_status,
)
from fhir_server.pathways.definition import Pathway, Step
from fhir_server.pathways.expressions import Verdict
from fhir_server.pathways.resolve import CONDITION_FAILED, GONE, Outcome, Progress, resolve
from fhir_server.pathways.steps import is_for_patient
from fhir_server.pathways.timing import Window

Json = dict[str, Any]

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
    issues: list[Issue]


def action_of(resource: Json, canonical_base: str) -> str | None:
    """The action that a step was made from (msk-step-action)."""
    url = f"{canonical_base}/StructureDefinition/msk-step-action"
    for extension in resource.get("extension", ()):
        if extension["url"] == url:
            action: str | None = extension.get("valueString")
            return action
    return None


def replan(
    pathway: Pathway,
    steps: Mapping[str, Json],
    anchors: Mapping[str, date],
    moment: Moment,
    judge: Callable[[Step], Verdict],
    *,
    ended: Mapping[str, date] | None = None,
) -> Replanned:
    """`steps` are the stored resources by action; `ended` says of some when they were done."""
    zone = moment.now.tzinfo
    assert isinstance(zone, ZoneInfo)
    progress = {step.key: GONE for step in pathway.steps if step.key not in steps}
    dated = {step.key for step in pathway.steps if step.is_dated}
    progress.update(
        (key, _progress(resource, zone, (ended or {}).get(key), key in dated)) for key, resource in steps.items()
    )
    outcomes = resolve(pathway, anchors, judge, progress)
    replanned = Replanned([], [])
    for step in pathway.steps:
        resource = steps.get(step.key)
        if resource is not None and not progress[step.key].over:
            _settle(step, resource, outcomes[step.key], moment, replanned)
    return replanned


def _progress(resource: Json, zone: ZoneInfo, ended: date | None, is_dated: bool) -> Progress:
    kind, status = resource["resourceType"], resource["status"]
    done = ended is not None or status == _DONE[kind]
    return Progress(
        over=done or status in _OVER[kind],
        done_on=(ended or _done_on(resource, zone)) if done else None,
        gone=status in _GONE,
        decided=period_of(resource) is not None if is_dated else reason_of(resource) != CONDITION_FAILED,
    )


def _done_on(resource: Json, zone: ZoneInfo) -> date | None:
    """The day it says it was done, else that of its last version: half a date is no day to count from."""
    match resource["resourceType"]:
        case "Task":
            said = [resource.get("executionPeriod", {}).get("end"), resource.get("lastModified")]
        case "Appointment":
            said = [resource.get("end"), resource.get("start")]
        case _:
            said = []
    said.append(resource.get("meta", {}).get("lastUpdated"))
    days = (day_of(text, zone) for text in said if text is not None)
    return next((day for day in days if day is not None), None)


def day_of(text: str, zone: ZoneInfo) -> date | None:
    """The day of a date or dateTime in `zone`; None when it names no whole day."""
    try:
        if len(text) <= 10:
            return date.fromisoformat(text)
        return datetime.fromisoformat(text).astimezone(zone).date()
    except ValueError:
        return None


def _settle(step: Step, resource: Json, outcome: Outcome, moment: Moment, replanned: Replanned) -> None:
    moves = step.is_dated and period_of(resource) != _stored(outcome.window)
    if resource["status"] in _ARRANGED:
        if outcome.dropped or moves:
            text = (
                f"{resource['resourceType']}/{resource['id']} ({step.title}) is {resource['status']} and stays so. "
                "The plan has other days for it now: look whether it has to be moved."
            )
            replanned.issues.append(Issue("business-rule", text, None, "warning"))
        return
    if outcome.dropped:
        replanned.changed.append(stood_down(resource, outcome.dropped, moment))
        return
    failed = reason_of(resource) == CONDITION_FAILED
    if moves or outcome.values or failed or outcome.fault:
        changed, fault = _moved(step, resource, outcome, moment)
        if {**changed, "lastModified": ""} != {**resource, "lastModified": ""}:
            replanned.changed.append(changed)
            if fault is not None:
                replanned.issues.append(condition_failed(step, changed, fault))


def _stored(window: Window | None) -> Json | None:
    return None if window is None else dict(period(window))


def stood_down(resource: Json, reason: str, moment: Moment) -> Json:
    """The step as one that is not to be done any more."""
    kind = resource["resourceType"]
    changed = {**resource, "status": "revoked" if kind == "ServiceRequest" else "cancelled"}
    give_reason(changed, reason, moment.canonical_base)
    return _touched(changed, moment)


def _moved(step: Step, resource: Json, outcome: Outcome, moment: Moment) -> tuple[Json, str | None]:
    """With the days and values it has now, and what failed of them."""
    fault = outcome.fault
    if fault is None:
        moved = _dated(step, deepcopy(resource) if outcome.values else resource, outcome.window, moment)
        fault = set_values(moved, outcome.values)
        if fault is None:
            return moved, None
    moved = _dated(step, resource, None, moment, failed=True)
    give_reason(moved, CONDITION_FAILED, moment.canonical_base, fault)
    return moved, fault


def _dated(step: Step, resource: Json, window: Window | None, moment: Moment, *, failed: bool = False) -> Json:
    """With other days, and in the state they give it; what the patient has begun stays begun."""
    moved = dict(resource)
    if reason_of(moved) == CONDITION_FAILED:
        give_reason(moved, None, moment.canonical_base)
    if not step.is_dated:
        if not failed:
            make_available(moved)
        return _touched(moved, moment)
    match moved["resourceType"]:
        case "Task":
            _set(moved, "restriction", window and {**moved.get("restriction", {}), "period": period(window)})
            _restate(moved, window, moment)
        case "Appointment":
            _set(moved, "requestedPeriod", window and [period(window)])
        case _:
            _set(moved, "occurrencePeriod", window and period(window))
            if moved["status"] in ("draft", "active"):
                moved["status"] = request_status(window, moment.today)
    return _touched(moved, moment)


def _restate(task: Json, window: Window | None, moment: Moment) -> None:
    if task["status"] not in ("draft", "requested", "ready"):
        return
    status, reason = task_status(window, moment.today, for_patient=is_for_patient(task))
    if task["status"] == "ready" and status == "requested":
        return
    task["status"] = status
    give_reason(task, reason, moment.canonical_base)


def _set(resource: Json, element: str, value: Any) -> None:
    if value:
        resource[element] = value
    else:
        resource.pop(element, None)


def _touched(resource: Json, moment: Moment) -> Json:
    if resource["resourceType"] == "Task":
        resource["lastModified"] = moment.now.isoformat(timespec="seconds")
    return resource


def is_open(resource: Json) -> bool:
    """Whether a step may still be done."""
    return resource["status"] not in _OVER[resource["resourceType"]]
