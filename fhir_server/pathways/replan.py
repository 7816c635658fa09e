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
from fhir_server.pathways.resolve import CONDITION_FAILED, GONE, NOT_APPLICABLE, Outcome, Progress, resolve
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
    anew: list[tuple[Step, Outcome]]
    """Steps that had fallen away and are steps of this patient after all: to be made once more."""


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
    again: bool = False,
) -> Replanned:
    """`steps` are the stored resources by action.

    `again`: what was decided before is decided again, because the answers it was decided by are not what they were. A
    step that somebody has taken up is not taken away: an issue says what has become of it.
    """
    zone = moment.now.tzinfo
    assert isinstance(zone, ZoneInfo)
    progress: dict[str, Progress] = {}
    for step in pathway.steps:
        resource = steps.get(step.key)
        if resource is None:
            progress[step.key] = GONE
        elif not (again and fell_away(resource)):
            progress[step.key] = _progress(step, resource, zone, again=again)
    outcomes = resolve(pathway, anchors, judge, progress)
    replanned = Replanned([], [], [])
    for step in pathway.steps:
        outcome = outcomes[step.key]
        if step.key not in progress:
            if outcome.dropped is None:
                replanned.anew.append((step, outcome))
        elif not progress[step.key].over:
            resource = steps[step.key]
            _settle(step, resource, outcome, moment, replanned)
            if again and not _is_untouched(resource) and _applies_no_more(step, judge):
                text = "By the answers as they are now it is no step of this patient: look whether to call it off."
                replanned.issues.append(_stays(step, resource, text))
    return replanned


def _applies_no_more(step: Step, judge: Callable[[Step], Verdict]) -> bool:
    if not step.expressions:
        return False
    verdict = judge(step)
    return verdict.fault is None and not verdict.applies


def fell_away(resource: Json) -> bool:
    """Whether it was found to be no step of this patient: its condition did not hold, or what it follows fell away."""
    return resource["status"] in ("cancelled", "revoked") and reason_of(resource) == NOT_APPLICABLE


def _progress(step: Step, resource: Json, zone: ZoneInfo, *, again: bool) -> Progress:
    kind, status = resource["resourceType"], resource["status"]
    done = status == _DONE[kind]
    decided = period_of(resource) is not None if step.is_dated else reason_of(resource) != CONDITION_FAILED
    return Progress(
        over=status in _OVER[kind],
        done_on=_done_on(resource, zone) if done else None,
        gone=status in _GONE,
        decided=decided and not (again and _is_untouched(resource)),
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
            text = "The plan has other days for it now: look whether it has to be moved."
            replanned.issues.append(_stays(step, resource, text))
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


def _stays(step: Step, resource: Json, why: str) -> Issue:
    name = f"{resource['resourceType']}/{resource['id']}"
    return Issue("business-rule", f"{name} ({step.title}) is {resource['status']} and stays so. {why}", None, "warning")


def _is_untouched(resource: Json) -> bool:
    """Whether nobody has begun it, or been asked to: an open step of the patient's own is only offered."""
    status = resource["status"]
    return status in ("draft", "proposed") or (is_for_patient(resource) and status in ("requested", "ready"))


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
