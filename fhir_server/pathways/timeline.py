"""A patient's timeline: what each step is as of a day, and the order of the steps. Pure functions over resources.

The states are those of CodeSystem msk-step-state; what they mean as of a day in the past or the future is in
docs/timeline.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.pathways.steps import days_of, is_for_patient, is_step

Json = dict[str, Any]

_NOT_STEPS = ("coordinate-referral", "safety-review")
"""Tasks for a patient that are work of the staff alone (CodeSystem msk-task-code)."""
_ENDS = {
    "completed": "done",
    "fulfilled": "done",
    "failed": "missed",
    "noshow": "missed",
    "rejected": "declined",
    "cancelled": "stood-down",
    "revoked": "stood-down",
}
_BEGUN = {"ready": "seen", "in-progress": "started", "arrived": "started", "checked-in": "started"}
_IN_ERROR = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Entry:
    """One step as of a day."""

    reference: str
    title: str | None
    state: str
    """CodeSystem msk-step-state."""
    start: date | None
    """First day it may be done."""
    due: date | None
    """Last day it may be done; the day of an appointment."""

    @property
    def place(self) -> tuple[date, date, str]:
        """Where it stands in the timeline: by due day, then by start; what has no day comes last."""
        due = self.due or date.max
        return due, self.start or due, self.reference


def is_on_timeline(resource: Json, canonical_base: str) -> bool:
    """Whether it is a step of a plan, or something that was given to the patient beside the plans."""
    if resource["status"] == _IN_ERROR:
        return False
    match resource["resourceType"]:
        case "Task":
            own = is_for_patient(resource) and not _is_staff_work(resource, canonical_base)
            return own or is_step(resource, canonical_base)
        case "ServiceRequest":
            return any(str(one.get("reference", "")).startswith("CarePlan/") for one in resource.get("basedOn", ()))
    return True


def _is_staff_work(task: Json, canonical_base: str) -> bool:
    system = f"{canonical_base}/CodeSystem/msk-task-code"
    codings = task.get("code", {}).get("coding", ())
    return any(one.get("system") == system and one.get("code") in _NOT_STEPS for one in codings)


def entry_of(resource: Json, as_of: date, today: date, zone: ZoneInfo, canonical_base: str) -> Entry | None:
    """The step as it was, is or will be on `as_of`; None when it was not there yet."""
    if as_of < today:
        made = _day(resource.get("authoredOn") or resource.get("created"), zone)
        if made is not None and made > as_of:
            return None
    start, due = _days(resource, zone)
    state = _state(resource, as_of, today, start, due, zone, canonical_base)
    name = f"{resource['resourceType']}/{resource['id']}"
    return Entry(name, resource.get("description"), state, start, due)


def _state(
    resource: Json,
    as_of: date,
    today: date,
    start: date | None,
    due: date | None,
    zone: ZoneInfo,
    canonical_base: str,
) -> str:
    status = resource["status"]
    if status in _ENDS and (as_of >= today or _had_ended(resource, as_of, zone)):
        return _ENDS[status]
    if as_of >= today and status in _BEGUN and (as_of == today or due is None or due >= as_of):
        return _BEGUN[status]
    return _by_window(resource, as_of, start, due, canonical_base)


def _by_window(resource: Json, as_of: date, start: date | None, due: date | None, canonical_base: str) -> str:
    if start is None and due is None:
        return "available" if resource["status"] in ("requested", "active") else "planned"
    if start is not None and as_of < start:
        return "planned"
    if due is not None and as_of > due and resource["resourceType"] == "Task" and is_for_patient(resource):
        return "missed"
    nominal = None if start is None else start + timedelta(_days_before(resource, canonical_base))
    return "due" if nominal is None or as_of >= nominal else "available"


def _days_before(resource: Json, canonical_base: str) -> int:
    """From the first day to the day the step was meant for (extension msk-window)."""
    url = f"{canonical_base}/StructureDefinition/msk-window"
    for extension in resource.get("extension", ()):
        if extension["url"] == url:
            for part in extension.get("extension", ()):
                if part["url"] == "before":
                    return int(part.get("valueDuration", {}).get("value", 0))
    return 0


def _days(resource: Json, zone: ZoneInfo) -> tuple[date | None, date | None]:
    """First and last day on which it may be done."""
    match resource["resourceType"]:
        case "Task":
            period = resource.get("restriction", {}).get("period", {})
        case "ServiceRequest":
            period = resource.get("occurrencePeriod", {})
        case _:
            if "start" in resource:
                day = _day(resource["start"], zone)
                return day, day
            period = next(iter(resource.get("requestedPeriod", ())), {})
    end = days_of(period.get("end"), zone)
    return _day(period.get("start"), zone), end and end[1]


def _had_ended(resource: Json, as_of: date, zone: ZoneInfo) -> bool:
    """Whether it had the status it has on `as_of` already, as far as it tells."""
    match resource["resourceType"]:
        case "Task":
            text = resource.get("executionPeriod", {}).get("end") or resource.get("lastModified")
        case "Appointment" if resource["status"] in ("fulfilled", "noshow"):
            text = resource.get("end") or resource.get("start")
        case _:
            text = None
    ended = _day(text or resource.get("meta", {}).get("lastUpdated"), zone)
    return ended is None or ended <= as_of


def _day(text: str | None, zone: ZoneInfo) -> date | None:
    found = days_of(text, zone)
    return found and found[0]
