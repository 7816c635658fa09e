"""What must hold of one step: its state, its window and what it says of its end.

The states are those of the timeline: planned (draft), available (requested), seen (ready), started (in-progress), done
(completed), missed (failed), declined (rejected), stood down (cancelled).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from fhir_server.pathways.apply_steps import reason_of
from fhir_server.pathways.invariants.record import (
    Json,
    Moment,
    Record,
    Violation,
    is_for_patient,
    is_open,
    name,
    parts,
    window_of,
)

_MISSED = frozenset(("window-closed", "answered-late"))


def states_fit_windows(record: Record, moment: Moment) -> Iterator[Violation]:
    """Not available before its window; once the jobs have run, neither planned in it nor the patient's after it."""
    for _, step in record.steps:
        window = window_of(step)
        if window is None or step["resourceType"] == "Appointment":
            continue
        start, end = window
        available = step["status"] in ("requested", "ready", "in-progress", "active")
        if end < start:
            yield Violation(name(step), "window-inverted", f"its window is {start} to {end}")
        # What the patient has begun stays begun when its event moves to a later day.
        if available and step["status"] != "in-progress" and moment.today < start:
            yield Violation(name(step), "available-early", f"it is {step['status']} on {moment.today}, from {start}")
        if step["resourceType"] != "Task":
            continue
        if step["status"] == "draft" and start <= moment.settled and not _is_kept_for_review(step):
            yield Violation(name(step), "planned-late", f"it is draft on {moment.settled}, from {start}")
        if available and end < moment.settled and is_for_patient(step):
            yield Violation(name(step), "available-late", f"it is {step['status']} on {moment.settled}, until {end}")


def _is_kept_for_review(step: Json) -> bool:
    """Its condition could not be evaluated: planned until somebody has looked."""
    return reason_of(step) == "condition-failed"


def ends_are_told(record: Record, moment: Moment) -> Iterator[Violation]:
    """Done: when, and what came of it; missed, declined and stood down: why."""
    for _, step in record.steps:
        if step["resourceType"] == "Task":
            yield from _task_end(record, step)
        elif step["status"] == "cancelled" and "cancelationReason" not in step:
            yield Violation(name(step), "stood-down-unexplained", "it is cancelled without cancelationReason")
        elif step["status"] == "revoked" and reason_of(step) is None:
            yield Violation(name(step), "stood-down-unexplained", "it is revoked without request-statusReason")


def _task_end(record: Record, task: Json) -> Iterator[Violation]:
    reason = record.code(task.get("statusReason"), "msk-step-reason")
    status = task["status"]
    if status == "completed":
        if "executionPeriod" not in task:
            yield Violation(name(task), "done-when", "it is completed without executionPeriod")
        if is_for_patient(task) and task.get("input") and not task.get("output"):
            yield Violation(name(task), "done-without-output", "it is completed and nothing came of it")
        if reason is not None:
            yield Violation(name(task), "done-with-reason", f"it is completed, and its statusReason is {reason}")
    elif status == "failed" and reason not in _MISSED:
        yield Violation(name(task), "missed-unexplained", f"it is failed with the reason {reason}")
    elif status in ("cancelled", "rejected") and reason is None:
        yield Violation(name(task), "stood-down-unexplained", f"it is {status} without a reason")
    elif is_open(task) and task.get("output"):
        yield Violation(name(task), "output-while-open", f"it is {status}, and has output")


def windows_follow_anchors(record: Record, moment: Moment) -> Iterator[Violation]:
    """An open step stands where its anchor puts it: offset days on, give or take; without the anchor, nowhere."""
    for plan, step in record.steps:
        anchor = record.extension(step, "msk-step-anchor")
        if anchor is None or not is_open(step) or _is_appointed(step) or _is_kept_for_review(step):
            continue
        if (name(plan), _action(record, step)) in record.waiting_for_more:
            continue
        timing = parts(anchor)
        day = _anchor_date(record, plan, timing["event"]["valueCode"])
        window = window_of(step)
        if day is None:
            if window is not None:
                event = timing["event"]["valueCode"]
                yield Violation(name(step), "window-without-anchor", f"{name(plan)} has no date of {event}")
            continue
        expected = _window(day, timing["offset"], record.extension(step, "msk-window"))
        if window != expected:
            found = "no window" if window is None else f"{window[0]} to {window[1]}"
            yield Violation(
                name(step), "window-off", f"it has {found}; {name(plan)} puts it at {expected[0]} to {expected[1]}"
            )


def _action(record: Record, step: Json) -> str:
    return str((record.extension(step, "msk-step-action") or {}).get("valueString"))


def _is_appointed(step: Json) -> bool:
    """A booked Appointment stands at its start, wherever it was asked for."""
    return bool(step["resourceType"] == "Appointment" and step["status"] != "proposed")


def _anchor_date(record: Record, plan: Json, event: str) -> date | None:
    for extension in record.extensions(plan, "msk-anchor-date"):
        found = parts(extension)
        if found["event"].get("valueCode") == event:
            return date.fromisoformat(found["date"]["valueDate"])
    return None


def _window(anchor: date, offset: Json, around: Json | None) -> tuple[date, date]:
    nominal = anchor + timedelta(_days(offset))
    sides = parts(around) if around else {}
    before, after = (timedelta(_days(sides[side]) if side in sides else 0) for side in ("before", "after"))
    return nominal - before, nominal + after


def _days(part: Json) -> int:
    return int(part["valueDuration"]["value"])
