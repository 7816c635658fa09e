"""What an answer that somebody must look at brings with it: a Flag on the patient and a Task for a clinician.

Every write of a QuestionnaireResponse passes here, so this reads the `alerts` of the scoring definitions and the answer
itself, without the scorer: whatever is wrong with the rest of the response, whatever its questionnaire's version
(docs/instruments.md, "PHQ-9 item 9"). R4 flag.html, task.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from fhir_server import content_files
from fhir_server.errors import Issue
from fhir_server.model.instant import format_instant, now
from fhir_server.model.reference import parse_reference

Json = dict[str, Any]

SPEAKING = frozenset(("completed", "amended", "in-progress", "stopped"))
"""Of R4's questionnaire-answers-status; a response entered in error says nothing about anybody."""

_ORDINAL_VALUE = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
_FLAG_DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
_FLAG_CATEGORY = "http://terminology.hl7.org/CodeSystem/flag-category"
_NO_ANSWER = (
    "http://terminology.hl7.org/CodeSystem/data-absent-reason",
    "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
)
"""Systems of codes that say why there is no answer."""
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


class Alert(msgspec.Struct, frozen=True):
    """An entry of `alerts` in a scoring definition, or in the alerts.json of a form that is not scored."""

    name: str
    item: str
    above: Decimal
    title: str
    advice: str


class _Definition(msgspec.Struct):
    instrument: str
    """Id of the instrument, or of the form."""
    alerts: list[Alert] = []


def alert_resources(response: Json, canonical_base: str) -> Iterator[Json]:
    """The Flag and the Task of each alert that `response`, which has its id, raises.

    Their ids follow from the response, the alert and the patient, so each is stored once; answers given to another
    patient are about that one.
    """
    for instrument, alert, highest in _raised(response):
        yield from _resources(response, f"{instrument}.{alert.name}", alert, highest, canonical_base)


def stored_alerts(response: Json) -> list[Issue]:
    """What to say of the alerts of a response that is stored."""
    return list(_issues(response, "A Flag on the patient and a Task for a clinician say so."))


def unstored_alerts(response: Json) -> list[Issue]:
    """What to say of the alerts of a response that is refused, and so makes neither Flag nor Task."""
    advice = "Nothing was stored and nobody was alerted: act on the answer, and send the response again once corrected."
    return list(_issues(response, advice))


def _issues(response: Json, consequence: str) -> Iterator[Issue]:
    for _, alert, highest in _raised(response):
        place = f"QuestionnaireResponse.item.where(linkId='{alert.item}')"
        yield Issue("business-rule", f"{_told(alert, highest)} {consequence}", place, "warning")


def _raised(response: Json) -> Iterator[tuple[str, Alert, Decimal | None]]:
    """Instrument, alert and the highest answer, None when it cannot be read."""
    if response.get("status") not in SPEAKING:
        return
    url = str(response.get("questionnaire", "")).partition("|")[0]
    named = url.rpartition("/Questionnaire/")[2].lower()
    given: dict[str, list[Json]] = {}
    _collect(response, _items(), given)
    for instrument, alert in _alerts():
        answers = given.get(alert.item)
        if not answers:
            continue
        if instrument != named:
            answers = [answer for answer in answers if _is_coded_by(answer, instrument)]
        values = [_number(answer) for answer in answers]
        if raising := [value for value in values if value is None or value > alert.above]:
            yield instrument, alert, max((value for value in raising if value is not None), default=None)


def _told(alert: Alert, value: Decimal | None) -> str:
    answered = "answered, but the answer cannot be read" if value is None else f"answered {value}"
    return f"{alert.title}: {answered}. {alert.advice}"


def subject_of(response: Json) -> tuple[str, str] | None:
    """Type and id of whom `response` is about, where that is a resource of this server."""
    subject = parse_reference(str(response.get("subject", {}).get("reference", "")))
    return (subject.resource_type, subject.logical_id) if subject.is_local else None


@cache
def _alerts() -> tuple[tuple[str, Alert], ...]:
    """Each with its instrument or form. `fhir-server instruments check` checks those of the instruments."""
    folder = Path(content_files.root()) / "questionnaires"
    decoder = msgspec.json.Decoder(_Definition)
    paths = [path for name in ("scoring.json", "alerts.json") for path in sorted(folder.glob(f"*/{name}"))]
    found = [decoder.decode(path.read_bytes()) for path in paths]
    return tuple((definition.instrument, alert) for definition in found for alert in definition.alerts)


@cache
def _items() -> frozenset[str]:
    """That an alert reads."""
    return frozenset(alert.item for _, alert in _alerts())


def _collect(parent: Json, wanted: frozenset[str], given: dict[str, list[Json]]) -> None:
    """Adds to `given` every answer to an item that is wanted, wherever it stands."""
    for item in parent.get("item", ()):
        answers = item.get("answer", ())
        if item.get("linkId") in wanted:
            given.setdefault(item["linkId"], []).extend(answer for answer in answers if _is_given(answer))
        for below in (item, *answers):
            if "item" in below:
                _collect(below, wanted, given)


def _is_coded_by(answer: Json, instrument: str) -> bool:
    """Whether the answer is one of the instrument's own options, whatever questionnaire the response names, or none."""
    return str(answer.get("valueCoding", {}).get("system", "")).endswith(f"/CodeSystem/{instrument}-answer")


def _is_given(answer: Json) -> bool:
    coding = answer.get("valueCoding")
    if coding is not None:
        return coding.get("system") not in _NO_ANSWER
    return any(key.startswith("value") for key in answer)


def _number(answer: Json) -> Decimal | None:
    """What was answered; None when it cannot be read, which alerts too: better once too often than once too little.

    A coding counts by its code (the raw number in all shipped questionnaires) and by the ordinalValue it carries, the
    higher of the two.
    """
    kind, value = next((key, value) for key, value in answer.items() if key.startswith("value"))
    said = [value]
    if kind == "valueCoding":
        extensions = value.get("extension", ())
        said = [one.get("valueDecimal") for one in extensions if one.get("url") == _ORDINAL_VALUE]
        said.append(value.get("code"))
    elif kind == "valueQuantity":
        said = [value.get("value")]
    return max((number for one in said if (number := _as_number(one)) is not None), default=None)


def _as_number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    return Decimal(value) if isinstance(value, int | Decimal) else None


def _resources(response: Json, code: str, alert: Alert, value: Decimal | None, canonical_base: str) -> Iterator[Json]:
    subject = response.get("subject", {})
    told = _told(alert, value)
    concept = {
        "coding": [{"system": f"{canonical_base}/CodeSystem/msk-score", "code": code, "display": alert.title}],
        "text": alert.title,
    }
    logical_id = _logical_id(response["id"], code, subject)
    answers = {"reference": f"QuestionnaireResponse/{response['id']}"}
    known = _names_a_patient(subject)
    if known:
        yield _flag(logical_id, concept, answers, response)
    else:
        told += " The response names no Patient, so there is no Flag: find out whose it is."
    yield _task(logical_id, concept, answers, response, canonical_base, told, flagged=known)


def _flag(logical_id: str, concept: Json, answers: Json, response: Json) -> Json:
    return {
        "resourceType": "Flag",
        "id": logical_id,
        "extension": [{"url": _FLAG_DETAIL, "valueReference": answers}],
        "status": "active",
        "category": [{"coding": [{"system": _FLAG_CATEGORY, "code": "safety", "display": "Safety"}]}],
        "code": concept,
        "subject": response["subject"],
        "period": {"start": response.get("authored") or _now()},
        **_carried(response, "encounter"),
    }


def _task(
    logical_id: str, concept: Json, answers: Json, response: Json, canonical_base: str, told: str, *, flagged: bool
) -> Json:
    kind = {
        "system": f"{canonical_base}/CodeSystem/msk-task-code",
        "code": "safety-review",
        "display": "Safety review",
    }
    task: Json = {
        "resourceType": "Task",
        "id": logical_id,
        **_carried(response, "basedOn"),
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {"coding": [kind]},
        "description": told,
        "focus": answers,
        **({"for": response["subject"]} if flagged else {}),
        **_carried(response, "encounter"),
        "authoredOn": _now(),
        "performerType": [{"text": "Clinician"}],
        "reasonCode": concept,
    }
    if flagged:
        task["reasonReference"] = {"reference": f"Flag/{logical_id}"}
    return task


def _carried(response: Json, element: str) -> Json:
    return {element: response[element]} if element in response else {}


def _names_a_patient(subject: Json) -> bool:
    """R4 Flag.subject: what is known to be something else than a Patient, or lies in the response, is not flagged."""
    reference = parse_reference(str(subject.get("reference", "")))
    kind = subject.get("type") or reference.resource_type
    return kind in ("", "Patient") and not reference.is_fragment and bool(reference.text or subject.get("identifier"))


def _logical_id(response_id: str, code: str, subject: Json) -> str:
    reference = parse_reference(str(subject.get("reference", "")))
    identifier = subject.get("identifier", {})
    whose = f"{reference.resource_type}/{reference.logical_id}" if reference.is_local else reference.text
    whose = whose or f"{identifier.get('system', '')}|{identifier.get('value', '')}"
    return blake2b(f"{response_id}|{code}|{whose}".encode(), digest_size=16).hexdigest()


def _now() -> str:
    return format_instant(now()).decode()
