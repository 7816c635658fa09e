"""The life of a step that is a Task: its states, and which of them may follow which.

The states are those of the timeline, each one of R4's (task.html#statemachine). A window opens (planned, available),
the patient sees and starts the step, and it ends: done, missed, declined or stood down. An end is final.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.errors import Issue
from fhir_server.model.dates import period_of

Json = dict[str, Any]

STATES = {
    "draft": "planned",
    "requested": "available",
    "ready": "seen",
    "in-progress": "started",
    "completed": "done",
    "failed": "missed",
    "rejected": "declined",
    "cancelled": "stood down",
}
"""What each Task.status of a step is called."""

_UNDONE = ("failed", "rejected", "cancelled")
MOVES = {
    "draft": ("requested", *_UNDONE),
    "requested": ("ready", "in-progress", "completed", *_UNDONE),
    "ready": ("in-progress", "completed", *_UNDONE),
    "in-progress": ("completed", *_UNDONE),
    "completed": (),
    "failed": (),
    "rejected": (),
    "cancelled": (),
}
"""Which Task.status may follow which: seen and started may be left out, nothing goes back."""

OPEN = frozenset(status for status, after in MOVES.items() if after)
"""A step that may still be done."""

UNDER_WAY = OPEN | {"received", "accepted", "on-hold"}
"""With R4's other states of a Task that is not over: pathways do not use them, Tasks written by hand may."""

_ERROR = "entered-in-error"
"""R4 task-status: the Task should never have existed. It says nothing of the step, so any state may become it."""


def is_step(task: Json, canonical_base: str) -> bool:
    """Whether the Task is a step of a plan."""
    if any(reference.startswith("CarePlan/") for reference in plans_of(task)):
        return True
    url = f"{canonical_base}/StructureDefinition/msk-step-action"
    return any(extension["url"] == url for extension in task.get("extension", ()))


def plans_of(step: Json) -> list[str]:
    """The plans it is a step of, as `CarePlan/id`; R4 lets an Appointment name them as information only."""
    element = "supportingInformation" if step["resourceType"] == "Appointment" else "basedOn"
    named = (str(one.get("reference", "")) for one in step.get(element, ()))
    return [reference for reference in named if reference.startswith("CarePlan/")]


def fault_of_move(task: Json, before: str) -> Issue | None:
    """Why a step with the status `before` cannot become what `task` says; None when it can, or stays."""
    after = task["status"]
    if after in (before, _ERROR):
        return None
    legal = () if before == _ERROR else MOVES.get(before, tuple(STATES))
    if after in legal:
        return None
    may = f"Legal now: {', '.join(map(_called, legal))}." if legal else "It has ended: no other state is legal."
    text = f"Task/{task['id']} is {_called(before)} and cannot become {_called(after)}. {may}"
    return Issue("business-rule", text, "Task.status")


def _called(status: str) -> str:
    return f"{status} ({STATES[status]})" if status in STATES else status


def faults_of_end(task: Json, canonical_base: str) -> list[Issue]:
    """What a step that has just ended does not say: when it was done, or why it was not."""
    if task["status"] == "completed" and "end" not in task.get("executionPeriod", {}):
        return [Issue("required", "Say when the step was done.", "Task.executionPeriod.end")]
    if task["status"] in _UNDONE and not has_reason(task, canonical_base):
        system = f"{canonical_base}/CodeSystem/msk-step-reason"
        text = f"Say why the step is {STATES[task['status']]}, with a code of {system}."
        return [Issue("required", text, "Task.statusReason")]
    return []


def has_reason(task: Json, canonical_base: str, code: str | None = None) -> bool:
    """Whether Task.statusReason has a code of msk-step-reason: `code`, or any."""
    system = f"{canonical_base}/CodeSystem/msk-step-reason"
    return any(
        coding.get("system") == system and code in (None, coding.get("code"))
        for coding in task.get("statusReason", {}).get("coding", ())
    )


def is_for_patient(task: Json) -> bool:
    """A step is the patient's own when the patient is the owner; what is staff's does not close, it is overdue."""
    return "owner" in task and task["owner"].get("reference") == task.get("for", {}).get("reference")


def window_of(task: Json, zone: ZoneInfo) -> tuple[date | None, date | None]:
    """First and last day on which the step may be done (Task.restriction.period), as days in `zone`."""
    period = task.get("restriction", {}).get("period", {})
    first, last = (days_of(period.get(side), zone) for side in ("start", "end"))
    return first and first[0], last and last[1]


def days_of(text: str | None, zone: ZoneInfo) -> tuple[date, date] | None:
    """First and last day that a dateTime may mean."""
    if text is not None and len(text) == 10:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return None
        return day, day
    found = None if text is None else period_of(text, zone.key)
    if found is None:
        return None
    low, high = (datetime.fromtimestamp(moment // 1000, zone).date() for moment in found)
    return low, high


def is_planned(task: Json, today: date, zone: ZoneInfo) -> bool:
    """Whether the step cannot be done yet: its window opens later, or what it is counted from has no date."""
    first, last = window_of(task, zone)
    if task["status"] != "draft":
        return False
    return (first is None and last is None) or (first is not None and today < first)


def is_late(task: Json, today: date, zone: ZoneInfo) -> bool:
    """Whether the window of a step of the patient's is over."""
    _, last = window_of(task, zone)
    return last is not None and today > last and is_for_patient(task)
