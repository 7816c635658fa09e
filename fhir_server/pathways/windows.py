"""What the day makes of a step: its window opens, or closes on a patient who has not done it.

Windows are whole days in the server's zone, both ends included.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.pathways.apply_steps import WINDOW_CLOSED, give_reason
from fhir_server.pathways.steps import OPEN, days_of, is_for_patient, is_step, plans_of, window_of

Json = dict[str, Any]


def moved(step: Json, now: datetime, zone: ZoneInfo, canonical_base: str) -> Json | None:
    """The step, a Task or a ServiceRequest, as it has to be at `now`; None when it is so already."""
    if step["resourceType"] == "ServiceRequest":
        return _asked(step, now, zone)
    return _moved(step, now, zone, canonical_base)


def _asked(request: Json, now: datetime, zone: ZoneInfo) -> Json | None:
    """What the plan asks of others begins with its window, and has no end but being done."""
    first = days_of(request.get("occurrencePeriod", {}).get("start"), zone)
    due = first is not None and first[0] <= now.astimezone(zone).date()
    return {**request, "status": "active"} if due and request["status"] == "draft" and plans_of(request) else None


def _moved(task: Json, now: datetime, zone: ZoneInfo, canonical_base: str) -> Json | None:
    """A planned one whose whole window has passed, as after a long downtime, is missed at once. What is staff's never
    closes: it stays available and is overdue.
    """
    if task["status"] not in OPEN or not is_step(task, canonical_base):
        return None
    today = now.astimezone(zone).date()
    first, last = window_of(task, zone)
    if last is not None and today > last and is_for_patient(task):
        changed = {**task, "status": "failed"}
        give_reason(changed, WINDOW_CLOSED, canonical_base)
    elif task["status"] == "draft" and first is not None and first <= today:
        changed = {**task, "status": "requested"}
    else:
        return None
    changed["lastModified"] = now.isoformat(timespec="seconds")
    return changed
