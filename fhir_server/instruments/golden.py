"""Golden vectors (golden.json) held against an instrument: what it answers, and what its rules as published answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.loading import DefinitionError
from fhir_server.instruments.schemas import best_violation
from fhir_server.instruments.scoring import ScoreResult, Scoring, score_response
from fhir_server.instruments.subject import subject_at
from fhir_server.instruments.values import UCUM

AUTHORED = "2026-03-01T09:30:00Z"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
_LINK_ID = re.compile(r"where\(linkId='([^']+)'\)")
_INDEX = re.compile(r"\.item\[(\d+)\]")


def read_vectors(file: Path, instrument: Instrument) -> list[dict[str, Any]]:
    """The vectors of `file`.

    Raises DefinitionError when it is none, or expects something of items or scores that are not there.
    """
    place = f"{file.parent.name}/{file.name}"
    try:
        document = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except ValueError as error:
        raise DefinitionError(f"{place} is not JSON: {error}") from error
    if violation := best_violation("golden.schema.json", document):
        raise DefinitionError(f"{place} {violation}")
    scores = {score.name for score in instrument.scores}
    for index, vector in enumerate(document["vectors"]):
        expected = vector["expect"]
        named = {name for part in ("scores", "bands", "status") for name in expected.get(part, {})}
        unknown = sorted((vector["answers"].keys() - instrument.items.keys()) | (named - scores))
        if unknown:
            raise DefinitionError(f"{place} $.vectors[{index}]: {instrument.id} has no {unknown[0]}")
    return list(document["vectors"])


def answered_items(questionnaire: dict[str, Any], answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of a response with raw `answers` by linkId, in the Questionnaire's groups."""
    return _items(questionnaire, answers)


def disagreements(instrument: Instrument, vector: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What was found, and what the vector expects instead."""
    expect = vector["expect"]
    body = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": instrument.canonical,
        "status": "completed",
        "subject": {"reference": "Patient/p-1"},
        "authored": AUTHORED,
        "item": answered_items(instrument.questionnaire, vector["answers"]),
    }
    scoring = score_response(
        instrument,
        body,
        now=NOW,
        allow_unverified=vector.get("allow_unverified", False),
        subject=subject_at(_patient(vector.get("subject")), body["authored"]),
    )
    raised = {result.alert.name: result.value for result in scoring.alerts}
    alerts = {name: Decimal(value) for name, value in expect.get("alerts", {}).items()}
    if raised != alerts:
        yield "alerts", raised, alerts
    if bool(scoring.refused) != ("refused" in expect):
        yield "refused", [issue.diagnostics for issue in scoring.refused], expect.get("refused")
        return
    if "refused" in expect:
        named = sorted(set(_blamed(body, scoring)))
        if named != sorted(expect["refused"]):
            yield "refused", named, expect["refused"]
        return
    results = {result.score.name: result for result in scoring.results}
    for name, value in expect["scores"].items():
        if _found(results[name]) != _wanted(results[name], value):
            yield name, _found(results[name]), value
    for name, code in expect.get("bands", {}).items():
        band = results[name].band
        if (band and band.code) != code:
            yield f"band of {name}", band, code
    for name, status in expect.get("status", {}).items():
        if results[name].status != status:
            yield f"status of {name}", results[name].status, status


def _patient(subject: dict[str, Any] | None) -> dict[str, Any] | None:
    """A Patient whose birthday is the day of the answers."""
    if subject is None:
        return None
    born = {"birthDate": f"{int(AUTHORED[:4]) - subject['age']}{AUTHORED[4:10]}"} if "age" in subject else {}
    return {"resourceType": "Patient", **born, **({"gender": subject["sex"]} if "sex" in subject else {})}


def _blamed(body: dict[str, Any], scoring: Scoring) -> Iterator[str]:
    """The linkId of each issue that is about an item."""
    for issue in scoring.refused:
        expression = issue.expression or ""
        if found := _LINK_ID.search(expression):
            yield found[1]
        elif indices := _INDEX.findall(expression):
            item = body
            for index in indices:
                item = item["item"][int(index)]
            yield str(item["linkId"])


def _found(result: ScoreResult) -> Decimal | str | None:
    return result.code if result.value is None else result.value


def _wanted(result: ScoreResult, expected: str | None) -> Decimal | str | None:
    return expected if expected is None or result.score.kind in ("strata", "profile") else Decimal(expected)


def _items(parent: dict[str, Any], answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answered questions below `parent`, and the groups that hold some."""
    items = []
    for question in parent["item"]:
        link_id = question["linkId"]
        if question["type"] == "group":
            if below := _items(question, answers):
                items.append({"linkId": link_id, "item": below})
        elif link_id in answers:
            items.append({"linkId": link_id, "answer": [_answer(question, answers[link_id])]})
    return items


def _answer(question: dict[str, Any], raw: Any) -> dict[str, Any]:
    if question["type"] == "choice":
        options = [option["valueCoding"] for option in question["answerOption"]]
        chosen = [option for option in options if option["code"] == str(raw)]
        # a code that is no option goes into the system of the others
        return {"valueCoding": {"system": (chosen or options)[0]["system"], "code": str(raw)}}
    if question["type"] == "quantity":
        coded = {"unit": raw["unit"], "system": UCUM, "code": raw["unit"]} if "unit" in raw else {}
        return {"valueQuantity": {"value": Decimal(raw["value"]), **coded}}
    return {"valueDecimal" if isinstance(raw, Decimal) else "valueInteger": raw}
