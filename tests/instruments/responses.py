"""QuestionnaireResponses on the shipped questionnaires, built from item scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

BASE = "https://fhir.example.org/msk"
QUESTIONNAIRES = Path(__file__).parents[2] / "questionnaires"
INSTRUMENTS = ("oks", "phq-9")
AUTHORED = "2026-03-01T09:30:00Z"
UCUM = "http://unitsofmeasure.org"


def response(instrument: str, answers: list[int | None], **elements: Any) -> dict[str, Any]:
    """A completed response with `answers` to q1, q2, ...; None leaves the item unanswered."""
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{BASE}/Questionnaire/{instrument}|1.0.0-neutral",
        "status": "completed",
        "subject": {"reference": "Patient/p-1"},
        "authored": AUTHORED,
        "item": [item(instrument, f"q{number}", score) for number, score in enumerate(answers, 1)],
        **elements,
    }


def item(instrument: str, link_id: str, score: int | None) -> dict[str, Any]:
    if score is None:
        return {"linkId": link_id}
    coding = {"system": f"{BASE}/CodeSystem/{instrument}-answer", "code": str(score)}
    return {"linkId": link_id, "answer": [{"valueCoding": coding}]}


def answered(instrument: str, answers: Mapping[str, Any]) -> dict[str, Any]:
    """A completed response with raw `answers` by linkId, as golden.json writes them, in the Questionnaire's groups."""
    questionnaire = _questionnaire(instrument)
    unknown = set(answers) - set(_link_ids(questionnaire))
    assert not unknown, f"{instrument} has no questions {unknown}"
    return response(instrument, [], item=_items(questionnaire, answers))


@cache
def _questionnaire(instrument: str) -> dict[str, Any]:
    form: dict[str, Any] = json.loads((QUESTIONNAIRES / instrument / "questionnaire.json").read_text())
    return form


def _link_ids(parent: dict[str, Any]) -> list[str]:
    below = parent.get("item", [])
    return [link_id for question in below for link_id in (question["linkId"], *_link_ids(question))]


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
