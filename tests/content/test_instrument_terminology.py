"""tools/instrument_terminology.py has been run: terminology/ says what the instruments' folders say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from fhir_server.instruments.definition import Absence

ROOT = Path(__file__).parents[2]


def _tool() -> Any:
    path = ROOT / "tools" / "instrument_terminology.py"
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


TOOL = _tool()
GENERATED: dict[str, str] = TOOL.generated(ROOT)


@pytest.mark.parametrize("name", GENERATED)
def test_generating_again_changes_nothing(name: str) -> None:
    shipped = (ROOT / "terminology" / name).read_text(encoding="utf-8")
    assert shipped == GENERATED[name], "run: python tools/instrument_terminology.py"


def test_no_answer_system_is_left_of_an_instrument_that_is_gone() -> None:
    assert {path.name for path in ROOT.glob("terminology/*-answer.json")} <= set(GENERATED)


def _folder(root: Path, options: list[dict[str, Any]], scores: list[dict[str, Any]]) -> Path:
    folder = root / "questionnaires" / "pain-log"
    folder.mkdir(parents=True)
    url = "https://fhir.example.org/msk/Questionnaire/pain-log"
    item = {"linkId": "q1", "type": "choice", "answerOption": [{"valueCoding": option} for option in options]}
    group = {"linkId": "g-pain", "type": "group", "item": [item]}
    for name, document in (
        ("questionnaire", {"url": url, "title": "Pain log, neutral labels", "date": "2026-11-24", "item": [group]}),
        ("instrument", {"name": "Tried", "purpose": "To try.", "direction": "higher-worse"}),
        (
            "scoring",
            {"instrument": "pain-log", "algorithm": "log", "version": "2.0.0", "scores": scores, "alerts": []},
        ),
    ):
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def _level(code: str, display: str, value: int | None = None) -> dict[str, Any]:
    extension = [{"url": TOOL.ORDINAL_VALUE, "valueDecimal": value}] if value is not None else []
    system = "https://fhir.example.org/msk/CodeSystem/pain-log-answer"
    return {"system": system, "code": code, "display": display, "extension": extension}


def _concepts(root: Path, identity: str) -> list[dict[str, Any]]:
    concepts: list[dict[str, Any]] = json.loads(TOOL.generated(root)[f"CodeSystem-{identity}.json"])["concept"]
    return concepts


def test_scores_bands_strata_and_algorithms_become_concepts(tmp_path: Path) -> None:
    total = {
        "name": "total",
        "title": "Log total",
        "rule": {"kind": "sum", "items": ["q1"]},
        "range": {"low": 0, "high": 4},
        "direction": "higher-better",
        "bands": {"steps": [{"from": 0, "code": "poor", "display": "poor (0 to 4)"}]},
    }
    strata = [{"code": "low", "display": "low risk", "when": "score.total <= 1"}, {"code": "high", "display": "high"}]
    risk = {"name": "risk", "title": "Log risk", "rule": {"kind": "strata", "strata": strata}}
    profile = {"name": "profile", "title": "Log profile", "rule": {"kind": "profile", "items": ["q1"]}}
    root = _folder(tmp_path, [_level("0", "level 0", 0)], [total, risk, profile])
    assert _concepts(root, "msk-score") == [
        {"code": "pain-log.total", "display": "Log total", "definition": "0 to 4, higher is better."},
        {"code": "pain-log.risk", "display": "Log risk", "definition": "One of: low, high."},
        {"code": "pain-log.profile", "display": "Log profile", "definition": "The coded answers side by side."},
    ]
    assert _concepts(root, "msk-score-band") == [
        {"code": "pain-log.poor", "display": "poor (0 to 4)"},
        {"code": "pain-log.low", "display": "low risk"},
        {"code": "pain-log.high", "display": "high"},
    ]
    assert _concepts(root, "msk-scoring-algorithm") == [{"code": "log-2.0.0", "display": "log, version 2.0.0"}]
    instrument = {"code": "pain-log", "display": "Tried", "definition": "To try."}
    assert _concepts(root, "msk-instrument") == [instrument]


@pytest.mark.parametrize(
    ("reach", "definition"),
    [
        ({"low": 0.6}, "From 0.6, higher is worse."),
        ({"high": 12}, "Up to 12, higher is worse."),
        ({}, "Higher is worse."),
    ],
)
def test_a_score_that_is_open_at_an_end_says_so(tmp_path: Path, reach: dict[str, float], definition: str) -> None:
    score = {"name": "index", "title": "Log index", "rule": {"kind": "formula", "formula": "ln(q1)"}, "range": reach}
    root = _folder(tmp_path, [_level("1", "level 1", 1)], [score])
    assert _concepts(root, "msk-score") == [
        {"code": "pain-log.index", "display": "Log index", "definition": definition}
    ]


def test_a_code_with_two_displays_is_one_concept_with_a_designation(tmp_path: Path) -> None:
    root = _folder(tmp_path, [_level("1", "yes", 1), _level("1", "level 1", 1), _level("1", "yes", 1)], [])
    assert _concepts(root, "pain-log-answer") == [
        {
            "code": "1",
            "display": "yes",
            "extension": [{"url": TOOL.ORDINAL_VALUE, "valueDecimal": 1}],
            "designation": [{"value": "level 1"}],
        }
    ]


def test_a_code_with_two_values_is_refused(tmp_path: Path) -> None:
    root = _folder(tmp_path, [_level("1", "yes", 1), _level("1", "yes", 2)], [])
    with pytest.raises(ValueError, match="1 has two meanings"):
        TOOL.generated(root)


def test_every_reason_for_an_absent_score_is_defined() -> None:
    """The reasons of a scoring, and the one of a score whose answers were amended away."""
    defined = json.loads((ROOT / "terminology/CodeSystem-msk-score-absent-reason.json").read_text())
    reasons = {*get_args(get_type_hints(Absence)["code"]), "no-longer-scored"}
    assert {concept["code"] for concept in defined["concept"]} == reasons
    assert defined["count"] == len(reasons)
