"""What must hold between a step that asks something, the response to it, its scores, and the reminders of it.

SDC's Task profile names the questionnaire in Task.input and the response in Task.output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from fhir_server.pathways.invariants.record import Json, Moment, Record, Violation, name, references

_SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
LIVE = ("preliminary", "final", "amended")
"""Observation.status of scores that count."""
_MOST_REMINDERS = 3
_RESPONSE = "QuestionnaireResponse/"


def responses_answer_their_steps(record: Record, moment: Moment) -> Iterator[Violation]:
    """The response of a done step is the patient's, complete, and answers the questionnaire the step asked for."""
    for _, step in record.steps:
        asked = _questionnaire(step)
        for reference in _responses(step):
            response = record.by_reference.get(reference)
            if response is None:
                yield Violation(name(step), "response-missing", f"its output {reference} is not there")
                continue
            if step["status"] == "completed" and response["status"] == "in-progress":
                yield Violation(name(step), "response-unfinished", f"it is completed, {reference} is in-progress")
            if asked and not _answers(response.get("questionnaire", ""), asked):
                answered = response.get("questionnaire")
                yield Violation(name(step), "response-to-another", f"it asks for {asked}, {reference} is to {answered}")
            if response.get("subject", {}).get("reference") != step.get("for", {}).get("reference"):
                yield Violation(name(step), "response-of-another", f"{reference} is not about its patient")


def responses_are_of_one_step(record: Record, moment: Moment) -> Iterator[Violation]:
    """No response ends two steps."""
    of: dict[str, str] = {}
    for _, step in record.steps:
        for reference in _responses(step):
            if reference in of and of[reference] != name(step):
                yield Violation(name(step), "response-twice", f"{reference} is the output of {of[reference]} too")
            of[reference] = name(step)


def responses_are_scored(record: Record, moment: Moment) -> Iterator[Violation]:
    """Answers that can be scored have scores; a score has a value, or says why there is none."""
    scored: dict[str, list[Json]] = defaultdict(list)
    for observation in record.of_type("Observation"):
        for reference in references(observation.get("derivedFrom")):
            scored[reference].append(observation)
    for _, step in record.steps:
        for reference in _responses(step):
            response = record.by_reference.get(reference)
            if response is None or response["status"] not in ("completed", "amended"):
                continue
            live = [one for one in scored[reference] if one["status"] in LIVE]
            if not live and record.is_scorable(response):
                yield Violation(name(response), "unscored", f"it completed {name(step)} and has no score")
            for observation in live:
                if not _says_something(observation):
                    yield Violation(name(observation), "score-empty", "it has neither a value nor a dataAbsentReason")


def reminders_are_few(record: Record, moment: Moment) -> Iterator[Violation]:
    """At most three for a step, none for a step that has ended when it was made."""
    reminders: dict[str, list[Json]] = defaultdict(list)
    for communication in record.of_type("Communication"):
        codes = {record.code(concept, "msk-communication-category") for concept in communication.get("category", ())}
        if "reminder" in codes:
            for reference in references(communication.get("about")):
                reminders[reference].append(communication)
    for _, step in record.steps:
        sent = reminders[name(step)]
        if len(sent) > _MOST_REMINDERS:
            yield Violation(name(step), "reminded-too-often", f"there are {len(sent)} reminders of it")
        ended = _ended(step)
        for reminder in sent:
            made = _moment(reminder.get("sent")) or _moment(reminder.get("meta", {}).get("lastUpdated"))
            if ended and "sent" in reminder and made and made > ended:
                yield Violation(name(reminder), "reminded-when-done", f"{name(step)} ended {ended.isoformat()}")


def _ended(step: Json) -> datetime | None:
    if step["resourceType"] != "Task" or step["status"] != "completed":
        return None
    return _moment(step.get("executionPeriod", {}).get("end"))


def _moment(text: str | None) -> datetime | None:
    """An instant with its zone; a date alone says too little to compare."""
    if text is None or "T" not in text:
        return None
    return datetime.fromisoformat(text)


def _questionnaire(step: Json) -> str | None:
    for given in step.get("input", ()):
        if _is(given["type"], "questionnaire"):
            return str(given.get("valueCanonical", ""))
    return None


def _responses(step: Json) -> list[str]:
    outputs = step.get("output", ()) if step["resourceType"] == "Task" else ()
    found = [str(one.get("valueReference", {}).get("reference", "")) for one in outputs]
    return [reference for reference in found if reference.startswith(_RESPONSE)]


def _is(concept: Json, code: str) -> bool:
    return any(coding.get("system") == _SDC and coding.get("code") == code for coding in concept.get("coding", ()))


def _answers(given: str, asked: str) -> bool:
    """Canonicals with and without a version: the one that was asked for, or any when none was named."""
    url, _, version = asked.partition("|")
    other, _, answered = given.partition("|")
    return url == other and (not version or not answered or version == answered)


def _says_something(observation: Json) -> bool:
    return "dataAbsentReason" in observation or any(element.startswith("value") for element in observation)
