"""QuestionnaireResponses on the shipped questionnaires, built from item scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fhir_server.instruments.golden import answered_items

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
    return response(instrument, [], item=answered_items(questionnaire, answers))


@cache
def _questionnaire(instrument: str) -> dict[str, Any]:
    form: dict[str, Any] = json.loads((QUESTIONNAIRES / instrument / "questionnaire.json").read_text())
    return form


def _link_ids(parent: dict[str, Any]) -> list[str]:
    below = parent.get("item", [])
    return [link_id for question in below for link_id in (question["linkId"], *_link_ids(question))]
