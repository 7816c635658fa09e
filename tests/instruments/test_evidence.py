"""Rules known from memory only, applied with leave: the score is preliminary, and so is what follows from it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.explanation import explanation
from fhir_server.instruments.loading import load_instrument
from fhir_server.instruments.scoring import Scoring, score_response
from tests.instruments.responses import BASE, QUESTIONNAIRES, response

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ONE_MISSING = {"rule": "person-mean", "at_most": 1, "evidence": "memory", "source": "test"}


def defined(tmp_path: Path, *scores: dict[str, Any]) -> Instrument:
    """The questions of the PHQ-9 with other scores."""
    folder = tmp_path / "phq-9"
    shutil.copytree(QUESTIONNAIRES / "phq-9", folder)
    rules = json.loads((folder / "scoring.json").read_text())
    rules["scores"] = list(scores)
    (folder / "scoring.json").write_text(json.dumps(rules))
    return load_instrument(folder, BASE)


def number(name: str, high: int, rule: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "rule": rule,
        "range": {"low": 0, "high": high},
        "decimals": 1,
        "unit": "{score}",
        "evidence": "secondary",
        "source": "test",
        "missing": {"rule": "none"},
        **elements,
    }


def scored(instrument: Instrument, answers: list[int | None]) -> Scoring:
    return score_response(instrument, response("phq-9", answers), now=NOW, allow_unverified=True)


def statuses(scoring: Scoring) -> dict[str, str]:
    return {result.score.name: result.status for result in scoring.results}


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (1, {"mood": "final", "body": "final", "total": "final", "risk": "final"}),
        (None, {"mood": "preliminary", "body": "final", "total": "preliminary", "risk": "preliminary"}),
    ],
)
def test_what_follows_from_a_preliminary_score_is_preliminary(
    tmp_path: Path, first: int | None, expected: dict[str, str]
) -> None:
    risk = {
        "name": "risk",
        "title": "risk",
        "rule": {
            "kind": "strata",
            "strata": [
                {"code": "low", "display": "low", "when": "score.total < 10"},
                {"code": "high", "display": "high"},
            ],
        },
        "evidence": "secondary",
        "source": "test",
        "missing": {"rule": "none"},
    }
    instrument = defined(
        tmp_path,
        number("mood", 12, {"kind": "sum", "items": ["q1", "q2", "q6", "q9"]}, missing=ONE_MISSING),
        number("body", 15, {"kind": "sum", "items": ["q3", "q4", "q5", "q7", "q8"]}),
        number("total", 27, {"kind": "sum", "scores": ["mood", "body"]}),
        risk,
    )
    assert statuses(scored(instrument, [first, 1, 1, 1, 1, 1, 1, 1, 1])) == expected


def test_categories_left_out_by_a_rule_from_memory(tmp_path: Path) -> None:
    """Nothing is imputed, but the mean is of fewer categories, and says so."""
    categories = [
        {"name": name, "items": items, "raise_to": 2, "when_any": ["q9"]}
        for name, items in (("a", ["q1", "q2"]), ("b", ["q3", "q4"]), ("c", ["q5", "q6"]))
    ]
    rule = {"kind": "categories", "categories": categories}
    instrument = defined(tmp_path, number("index", 3, rule, missing=ONE_MISSING))

    whole = scored(instrument, [1, 2, 0, 1, 3, 0, 0, 0, 0])
    assert [(result.value, result.status, result.left_out) for result in whole.results] == [(2, "final", ())]

    part = scored(instrument, [1, 2, 0, 1, None, None, 0, 0, 0])
    (result,) = part.results
    assert (str(result.value), result.status, result.left_out) == ("1.5", "preliminary", ("q5", "q6"))
    assert any("q5, q6 without answer" in issue.diagnostics for issue in part.warnings)
    assert any("q5, q6" in sentence and "memory" in sentence for sentence in explanation(instrument, result))
