"""What a step asks for, and the step as it is once that was begun, done or sent too late: pure functions on a Task.

SDC's Task profile names the questionnaire in Task.input and the response in Task.output, with codes of its `temp`
CodeSystem; the Library to be viewed is named by CodeSystem msk-task-input.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.model.instant import MICROS, parse_instant
from fhir_server.pathways.apply_steps import SDC, give_reason
from fhir_server.pathways.steps import window_of

Json = dict[str, Any]

ANSWERED_LATE = "answered-late"


@dataclass(frozen=True, slots=True)
class Given:
    """What came of a step: `reference` to it, and when it was made as far as that is known."""

    reference: str
    authored: str | None
    system: str
    code: str
    """What it is, as the type of a Task.output."""

    @property
    def output(self) -> Json:
        kind = {"coding": [{"system": self.system, "code": self.code}]}
        return {"type": kind, "valueReference": {"reference": self.reference}}


def response_given(response: Json) -> Given:
    reference = f"QuestionnaireResponse/{response['id']}"
    return Given(reference, response.get("authored"), SDC, "questionnaire-response")


def view_given(communication: Json, canonical_base: str) -> Given:
    system = f"{canonical_base}/CodeSystem/msk-communication-category"
    when = communication.get("received") or communication.get("sent")
    return Given(f"Communication/{communication['id']}", when, system, "resource-viewed")


def questionnaires(task: Json) -> list[str]:
    """Canonicals of the Questionnaires that the step asks to be answered."""
    return _inputs(task, SDC, "questionnaire")


def resources(task: Json, canonical_base: str) -> list[str]:
    """Canonicals of what the step asks to be viewed."""
    return _inputs(task, f"{canonical_base}/CodeSystem/msk-task-input", "resource")


def _inputs(task: Json, system: str, code: str) -> list[str]:
    return [
        str(given["valueCanonical"])
        for given in task.get("input", ())
        if "valueCanonical" in given
        and any(one.get("system") == system and one.get("code") == code for one in given["type"].get("coding", ()))
    ]


def same_canonical(one: str, other: str) -> bool:
    """With and without a version: two versions must be the same, one or none leaves it open."""
    url, _, version = one.partition("|")
    other_url, _, other_version = other.partition("|")
    return url == other_url and (not version or not other_version or version == other_version)


def outputs(task: Json, resource_type: str) -> list[str]:
    """References of the step's outputs of that type."""
    found = (str(one.get("valueReference", {}).get("reference", "")) for one in task.get("output", ()))
    return [reference for reference in found if reference.startswith(f"{resource_type}/")]


def started(task: Json, given: Given, now: datetime) -> Json:
    """The step begun, and since when."""
    start = task.get("executionPeriod", {}).get("start") or _when(task, given, now)
    return _touched({**task, "status": "in-progress", "executionPeriod": {"start": start}}, now)


def done(task: Json, given: Given, now: datetime) -> Json:
    """The step done: what came of it takes the place of what there was of its kind."""
    ended = {**_with_output(task, given, now), "status": "completed"}
    ended.pop("statusReason", None)
    return _touched(ended, now)


def late(task: Json, given: Given, now: datetime, canonical_base: str) -> Json:
    """The step missed all the same, with what came after its window."""
    missed = {**_with_output(task, given, now), "status": "failed"}
    give_reason(missed, ANSWERED_LATE, canonical_base)
    return _touched(missed, now)


def _with_output(task: Json, given: Given, now: datetime) -> Json:
    kept = [one for one in task.get("output", ()) if one["type"] != given.output["type"]]
    end = _when(task, given, now)
    start = task.get("executionPeriod", {}).get("start") or end
    return {**task, "executionPeriod": {"start": start, "end": end}, "output": [*kept, given.output]}


def _when(task: Json, given: Given, now: datetime) -> str:
    """When it was made, where that can be: not before the step could be done, and not in the future; else now."""
    moment = _moment(given.authored)
    assert isinstance(now.tzinfo, ZoneInfo)
    earliest = _moment(task.get("executionPeriod", {}).get("start"))
    if earliest is None:
        first, _ = window_of(task, now.tzinfo)
        earliest = datetime.combine(first or date(1900, 1, 1), time(), now.tzinfo)
    if given.authored is not None and moment is not None and earliest <= moment <= now:
        return given.authored
    return now.isoformat(timespec="seconds")


def _moment(text: str | None) -> datetime | None:
    micros = None if text is None else parse_instant(text)
    return None if micros is None else datetime.fromtimestamp(micros / MICROS, UTC)


def _touched(task: Json, now: datetime) -> Json:
    return {**task, "lastModified": now.isoformat(timespec="seconds")}
