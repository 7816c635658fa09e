"""What the day makes of a step that is a Task: its window opens, or closes on a patient who has not done it.

Windows are whole days in the server's zone, both ends included.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.pathways.apply_steps import WINDOW_CLOSED, give_reason
from fhir_server.pathways.steps import OPEN, is_for_patient, is_step, window_of

Json = dict[str, Any]


def moved(task: Json, now: datetime, zone: ZoneInfo, canonical_base: str) -> Json | None:
    """The step as it has to be at `now`; None when it is so already.

    A planned one whose whole window has passed, as after a long downtime, is missed at once. What is staff's never
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
