"""Parts of the scoring language that the shipped instruments do not use yet: integers, means, scales, groups."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.loading import load_instrument
from fhir_server.instruments.scoring import Scoring, score_response
from tests.instruments.responses import QUESTIONNAIRES, response

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def variant(
    tmp_path: Path, questionnaire: dict[str, Any] | None = None, score: dict[str, Any] | None = None
) -> Instrument:
    """The Oxford Knee Score with its first item replaced and its score changed."""
    folder = tmp_path / "oks"
    shutil.copytree(QUESTIONNAIRES / "oks", folder)
    form = json.loads((folder / "questionnaire.json").read_text())
    form["item"][0] = questionnaire or form["item"][0]
    (folder / "questionnaire.json").write_text(json.dumps(form))
    rules = json.loads((folder / "scoring.json").read_text())
    rules["scores"][0].update(score or {})
    (folder / "scoring.json").write_text(json.dumps(rules))
    return load_instrument(folder)


def with_integers(tmp_path: Path) -> Instrument:
    options = [{"valueInteger": number} for number in range(5)]
    return variant(tmp_path, {"linkId": "q1", "type": "integer", "answerOption": options})


def scored(instrument: Instrument, first: dict[str, Any]) -> Scoring:
    body = response("oks", [0] * 12)
    body["item"][0] = first
    return score_response(instrument, body, now=NOW)


@pytest.mark.parametrize("answer", [{"valueInteger": 3}, {"valueDecimal": Decimal("3.0")}, {"valueDecimal": 3}])
def test_a_whole_number(tmp_path: Path, answer: dict[str, Any]) -> None:
    scoring = scored(with_integers(tmp_path), {"linkId": "q1", "answer": [answer]})
    assert [result.value for result in scoring.results] == [3]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"valueDecimal": Decimal("2.5")}, "value"),
        ({"valueDecimal": Decimal("1E+999999999")}, "value"),
        ({"valueDecimal": Decimal("NaN")}, "value"),
        ({"valueInteger": True}, "value"),
        ({"valueInteger": "3"}, "value"),
        ({"valueInteger": 5}, "code-invalid"),
        ({"valueInteger": -1}, "code-invalid"),
        ({"valueCoding": {"code": "3"}}, "value"),
    ],
)
def test_what_is_no_whole_number_in_range(tmp_path: Path, answer: dict[str, Any], code: str) -> None:
    scoring = scored(with_integers(tmp_path), {"linkId": "q1", "answer": [answer]})
    assert scoring.results == ()
    assert [issue.code for issue in scoring.refused] == [code]


def test_a_scaled_mean_is_exact(tmp_path: Path) -> None:
    """(1 + 11 x 0) / 12 x 25 + 0 = 2.083333..."""
    rules = {
        "rule": {"kind": "mean", "items": [f"q{number}" for number in range(1, 13)], "scale": {"multiply": 25}},
        "range": {"low": 0, "high": 100},
        "decimals": 1,
        "bands": {"evidence": "secondary", "source": "test", "steps": [{"from": 0, "code": "all", "display": "all"}]},
    }
    instrument = variant(tmp_path, score=rules)
    result = score_response(instrument, response("oks", [1] + [0] * 11), now=NOW).results[0]
    assert (result.value, result.display) == (Decimal("2.083333"), Decimal("2.1"))
    assert score_response(instrument, response("oks", [4] * 12), now=NOW).results[0].value == 100


def test_a_reversed_scale(tmp_path: Path) -> None:
    """The old form of the score ran from 12 (best) to 60: 60 - 48 = 12."""
    rules = {
        "rule": {
            "kind": "sum",
            "items": [f"q{number}" for number in range(1, 13)],
            "scale": {"multiply": -1, "add": 60},
        },
        "range": {"low": 12, "high": 60},
        "bands": {"evidence": "secondary", "source": "test", "steps": [{"from": 12, "code": "all", "display": "all"}]},
    }
    instrument = variant(tmp_path, score=rules)
    assert score_response(instrument, response("oks", [4] * 12), now=NOW).results[0].value == 12


def test_items_in_groups_and_items_that_are_not_scored(tmp_path: Path) -> None:
    form = json.loads((QUESTIONNAIRES / "oks" / "questionnaire.json").read_text())
    comment = {"linkId": "comment", "type": "text"}
    instrument = variant(tmp_path, {"linkId": "part", "type": "group", "item": [form["item"][0], comment]})
    body = response("oks", [2] * 12)
    grouped = [body["item"][0], {"linkId": "comment", "answer": [{"valueString": "sore"}]}]
    body["item"][0] = {"linkId": "part", "item": grouped}
    assert score_response(instrument, body, now=NOW).results[0].value == 24
