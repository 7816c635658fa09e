"""QuestionnaireResponses on the shipped questionnaires, built from item scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BASE = "https://fhir.example.org/msk"
QUESTIONNAIRES = Path(__file__).parents[2] / "questionnaires"
INSTRUMENTS = ("oks", "phq-9")


def response(instrument: str, answers: list[int | None], **elements: Any) -> dict[str, Any]:
    """A completed response with `answers` to q1, q2, ...; None leaves the item unanswered."""
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{BASE}/Questionnaire/{instrument}|1.0.0-neutral",
        "status": "completed",
        "subject": {"reference": "Patient/p-1"},
        "authored": "2026-03-01T09:30:00Z",
        "item": [item(instrument, f"q{number}", score) for number, score in enumerate(answers, 1)],
        **elements,
    }


def item(instrument: str, link_id: str, score: int | None) -> dict[str, Any]:
    if score is None:
        return {"linkId": link_id}
    coding = {"system": f"{BASE}/CodeSystem/{instrument}-answer", "code": str(score)}
    return {"linkId": link_id, "answer": [{"valueCoding": coding}]}


def golden(instrument: str) -> list[dict[str, Any]]:
    """The vectors computed by hand (questionnaires/*/golden.json)."""
    vectors: list[dict[str, Any]] = json.loads((QUESTIONNAIRES / instrument / "golden.json").read_text())["vectors"]
    return vectors
