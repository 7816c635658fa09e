"""Scores and alerts as FHIR resources.

R4 observation.html. Ids depend on the response and the score alone, so scoring again writes the same
resources.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from uuid import UUID

from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.explanation import explanation
from fhir_server.instruments.rounding import as_decimal
from fhir_server.instruments.scoring import AlertResult, ScoreResult, Scoring, reason
from fhir_server.instruments.values import UCUM

_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_ABSENT = {
    "too-few-answers": "unknown",
    "rule-not-verified": "not-permitted",
    "subject-unknown": "unknown",
    "not-in-table": "unsupported",
    "undefined": "not-a-number",
    "no-longer-scored": "unknown",
}
"""data-absent-reason by our own, finer code (terminology/CodeSystem-msk-score-absent-reason.json)."""
_NO_LONGER_SCORED = "no-longer-scored"

_CARRIED_EXTENSIONS = ("msk-timepoint", "msk-laterality")
"""Facts about the response that a course of scores is read by."""

_ON_WORDING = " on wording "
"""In the text of the method, before the version of the Questionnaire."""

_ALERT_STATUS = {"in-progress": "preliminary", "amended": "amended"}
"""By the status of the response, where it is not final: the answer itself is read, by no rule of any evidence."""


def observations(scoring: Scoring, response: dict[str, Any]) -> list[dict[str, Any]]:
    """One Observation per score and one per alert raised, without ids."""
    return [
        *(_score_observation(scoring.instrument, result, response) for result in scoring.results),
        *(_alert_observation(scoring.instrument, raised, response) for raised in scoring.alerts),
    ]


def lowered(scoring: Scoring, response: dict[str, Any]) -> list[dict[str, Any]]:
    """One Observation per alert that is not raised: what a stored alert becomes when its answer was amended."""
    return [_lowered_observation(scoring.instrument, quiet, response) for quiet in scoring.quiet]


def outdated(stored: dict[str, Any], canonical_base: str, why: str) -> dict[str, Any]:
    """A stored score without its value: the answers it was reckoned from were amended and give none any more."""
    gone = {"valueQuantity", "valueCodeableConcept", "interpretation", "referenceRange"}
    text = f"The response was amended and gives this score no value any more. {why}"
    return {
        **{name: value for name, value in stored.items() if name not in gone},
        "status": "preliminary" if stored["status"] == "preliminary" else "amended",
        "dataAbsentReason": _absent_reason(canonical_base, _NO_LONGER_SCORED, text),
        "note": [{"text": text}],
    }


def is_outdated(stored: dict[str, Any]) -> bool:
    """Whether `outdated` made it."""
    codings = stored.get("dataAbsentReason", {}).get("coding", ())
    return any(coding.get("code") == _NO_LONGER_SCORED for coding in codings)


def derived_id(response_id: str, observation: dict[str, Any]) -> str:
    """The logical id under which the score or alert of a stored response is kept."""
    return _digest(response_id, _code(observation)).hex()


def derived_uuid(response: dict[str, Any], observation: dict[str, Any]) -> str:
    """A urn:uuid for an Observation that is not stored, the same each time."""
    return UUID(bytes=_digest(str(response.get("id", "")), _code(observation)), version=5).urn


def _code(observation: dict[str, Any]) -> str:
    """Empty for an Observation that is no score of ours."""
    codings: list[dict[str, Any]] = observation["code"].get("coding", [])
    return str(codings[0].get("code", "")) if codings else ""


def _digest(response_id: str, code: str) -> bytes:
    return blake2b(f"{response_id}|{code}".encode(), digest_size=16).digest()


def has_score(observation: dict[str, Any]) -> bool:
    """Whether it holds the value of a score."""
    return "valueQuantity" in observation or "valueCodeableConcept" in observation


def on_imported_wording(observation: dict[str, Any]) -> bool:
    """Whether a score is of answers on a licensee's words; others are on our own labels."""
    return _ON_WORDING in observation.get("method", {}).get("text", "")


def is_alert(observation: dict[str, Any]) -> bool:
    """Alerts hold the answer itself, scores a quantity."""
    return "valueInteger" in observation


def _score_observation(instrument: Instrument, result: ScoreResult, response: dict[str, Any]) -> dict[str, Any]:
    score = result.score
    observation = _base(instrument, f"{instrument.id}.{score.name}", score.title, result.status, response)
    observation["code"]["coding"].extend(dict(coding) for coding in score.codings)
    observation |= _value(instrument, result)
    if result.band:
        observation["interpretation"] = [
            {"coding": [_band_coding(instrument, result.band.code, result.band.display)], "text": result.band.code}
        ]
    observation["note"] = [{"text": text} for text in explanation(instrument, result)]
    bounds = {name: value for name, value in (("low", score.low), ("high", score.high)) if value is not None}
    if bounds:
        observation["referenceRange"] = [
            {
                **{name: {"value": as_decimal(value), **_unit(score.unit)} for name, value in bounds.items()},
                "type": {"text": "possible range"},
            }
        ]
    return observation


def _value(instrument: Instrument, result: ScoreResult) -> dict[str, Any]:
    """valueQuantity of a number, valueCodeableConcept of a stratum or profile, else dataAbsentReason."""
    if result.absence:
        absence = result.absence
        return {"dataAbsentReason": _absent_reason(instrument.canonical_base, absence.code, reason(absence))}
    if result.code is None:
        return {"valueQuantity": {"value": result.value, **_unit(result.score.unit)}}
    concept: dict[str, Any] = {"text": result.code}
    if result.code in result.score.strata:
        coding = _band_coding(instrument, result.code, result.score.strata[result.code])
        concept = {"coding": [coding], **concept}
    return {"valueCodeableConcept": concept}


def _absent_reason(canonical_base: str, code: str, text: str) -> dict[str, Any]:
    codings = [
        {"system": _ABSENT_REASON, "code": _ABSENT[code]},
        {"system": f"{canonical_base}/CodeSystem/msk-score-absent-reason", "code": code},
    ]
    return {"coding": codings, "text": text}


def _unit(code: str) -> dict[str, str]:
    return {"unit": code.strip("{}"), "system": UCUM, "code": code}


def _band_coding(instrument: Instrument, code: str, display: str) -> dict[str, str]:
    return {
        "system": f"{instrument.canonical_base}/CodeSystem/msk-score-band",
        "code": f"{instrument.id}.{code}",
        "display": display,
    }


def _alert_observation(instrument: Instrument, raised: AlertResult, response: dict[str, Any]) -> dict[str, Any]:
    status = _ALERT_STATUS.get(response["status"], "final")
    observation = _base(instrument, f"{instrument.id}.{raised.alert.name}", raised.alert.title, status, response)
    observation["valueInteger"] = int(raised.value)
    observation["interpretation"] = [{"coding": [{"system": _INTERPRETATION, "code": "POS", "display": "Positive"}]}]
    observation["note"] = [{"text": raised.alert.advice}]
    return observation


def _lowered_observation(instrument: Instrument, quiet: AlertResult, response: dict[str, Any]) -> dict[str, Any]:
    observation = _alert_observation(instrument, quiet, response)
    observation["status"] = _ALERT_STATUS.get(response["status"], "amended")
    observation["interpretation"] = [{"coding": [{"system": _INTERPRETATION, "code": "NEG", "display": "Negative"}]}]
    observation["note"] = [
        {"text": "An earlier version of the response raised this alert; its Flag is closed by hand."}
    ]
    return observation


def _base(instrument: Instrument, code: str, title: str, status: str, response: dict[str, Any]) -> dict[str, Any]:
    """What a score and an alert share; `source` is who answered, `basedOn` the plan or request it was answered for."""
    base = instrument.canonical_base
    carried = {f"{base}/StructureDefinition/{name}" for name in _CARRIED_EXTENSIONS}
    extensions = [extension for extension in response.get("extension", ()) if extension.get("url") in carried]
    observation: dict[str, Any] = {"resourceType": "Observation"}
    if extensions:
        observation["extension"] = extensions
    if "basedOn" in response:
        observation["basedOn"] = response["basedOn"]
    observation["status"] = status
    observation["category"] = [{"coding": [{"system": _CATEGORY, "code": "survey", "display": "Survey"}]}]
    observation["code"] = {
        "coding": [{"system": f"{base}/CodeSystem/msk-score", "code": code, "display": title}],
        "text": title,
    }
    observation["subject"] = response["subject"]
    if "encounter" in response:
        observation["encounter"] = response["encounter"]
    observation["effectiveDateTime"] = response["authored"]
    if "source" in response:
        observation["performer"] = [response["source"]]
    observation["method"] = _method(instrument)
    if "id" in response:
        observation["derivedFrom"] = [{"reference": f"QuestionnaireResponse/{response['id']}"}]
    return observation


def _method(instrument: Instrument) -> dict[str, Any]:
    code = f"{instrument.algorithm}-{instrument.algorithm_version}"
    worded = f"{_ON_WORDING}{instrument.wording.version}" if instrument.wording else ""
    return {
        "coding": [{"system": f"{instrument.canonical_base}/CodeSystem/msk-scoring-algorithm", "code": code}],
        "text": f"{instrument.algorithm} {instrument.algorithm_version} sha256:{instrument.checksum}{worded}",
    }
