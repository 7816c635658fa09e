"""Reminders of a step: on which days, and what one is (R4 communication.html: due, to be sent by whoever sends)."""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.pathways.steps import is_for_patient, is_step, plans_of, window_of

Json = dict[str, Any]

AFTER_OPENING = (3, 7)
BEFORE_END = 1
"""Days."""

MOST = len((*AFTER_OPENING, BEFORE_END))
"""Reminders of one step, also when its window moves: three."""

GRACE_DAYS = 3
"""A reminder that could not be made on its day is still made so many days later, unless the next one is due."""

REMINDED = ("requested", "ready", "in-progress")


def reminder_days(first: date, last: date) -> list[date]:
    """After the day the window opens, and within it."""
    days = {first + timedelta(days=after) for after in AFTER_OPENING} | {last - timedelta(days=BEFORE_END)}
    return sorted(day for day in days if first < day <= last)


def reminder_due(task: Json, today: date, zone: ZoneInfo, canonical_base: str) -> date | None:
    """The day of the reminder that is due for the step: the last one that has come, if it is not too long ago.

    Only for what the patient has to do and may still do, in a window that has both its ends.
    """
    if task["status"] not in REMINDED or not is_for_patient(task) or not is_step(task, canonical_base):
        return None
    first, last = window_of(task, zone)
    if first is None or last is None or not first <= today <= last:
        return None
    come = [day for day in reminder_days(first, last) if day <= today]
    return come[-1] if come and (today - come[-1]).days <= GRACE_DAYS else None


def reminder_id(task_id: str, day: date) -> str:
    """The same for the same step and day, so that there is never a second one."""
    return f"reminder-{sha256(f'{task_id}/{day.isoformat()}'.encode()).hexdigest()[:32]}"


def reminder(task: Json, day: date, canonical_base: str) -> Json:
    """In preparation: what sends it makes it in-progress or completed, with the medium."""
    system = f"{canonical_base}/CodeSystem/msk-communication-category"
    made: Json = {
        "resourceType": "Communication",
        "id": reminder_id(task["id"], day),
        "basedOn": [{"reference": plan} for plan in plans_of(task)],
        "status": "preparation",
        "category": [{"coding": [{"system": system, "code": "reminder"}]}],
        "subject": task["for"],
        "about": [{"reference": f"Task/{task['id']}"}],
        "recipient": [task["owner"]],
    }
    if not made["basedOn"]:
        del made["basedOn"]
    if "description" in task:
        made["payload"] = [{"contentString": task["description"]}]
    return made
