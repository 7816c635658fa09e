"""Definitions that contradict the schema, the Questionnaire or themselves are refused with their path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fhir_server.errors import FhirError
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.loading import DefinitionError, load_instrument
from tests.instruments.responses import BASE, INSTRUMENTS, QUESTIONNAIRES


def broken(tmp_path: Path, instrument: str, file_name: str, path: list[Any], value: Any) -> Path:
    """A copy of a shipped instrument with one element of one file replaced (or removed, for None)."""
    folder = tmp_path / instrument
    shutil.copytree(QUESTIONNAIRES / instrument, folder)
    document = json.loads((folder / file_name).read_text())
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if value is None:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    (folder / file_name).write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize(
    ("file_name", "path", "value", "named"),
    [
        ("scoring.json", ["scores", 0, "rule", "kind"], "median", "$.scores[0].rule"),
        ("scoring.json", ["scores", 0, "decimals"], "1", "$.scores[0].decimals"),
        ("scoring.json", ["scores", 0, "missing"], {"rule": "person-mean"}, "$.scores[0].missing"),
        ("scoring.json", ["scores", 0, "missing", "at_most"], 12, "$.scores[0].missing"),
        ("scoring.json", ["scores", 0, "rule", "items", 3], "q77", "$.scores[0].rule"),
        ("scoring.json", ["scores", 0, "range", "high"], 49, "$.scores[0].range"),
        ("scoring.json", ["scores", 0, "bands", "steps", 0, "from"], 1, "$.scores[0].bands.steps"),
        ("scoring.json", ["scores", 0, "bands", "steps", 2, "from"], 15, "$.scores[0].bands.steps"),
        ("scoring.json", ["scores", 0, "bands", "steps", 3, "from"], 49, "$.scores[0].bands.steps"),
        ("scoring.json", ["questionnaire"], f"{BASE}/Questionnaire/oks|9", "$.questionnaire"),
        ("scoring.json", ["scores", 0, "evidence"], "gap", "$.scores[0].evidence"),
        ("scoring.json", ["alerts"], None, "alerts"),
        ("instrument.json", ["direction"], "up", "$.direction"),
        ("instrument.json", ["mic", 0, "doi"], "doi:1", "$.mic[0].doi"),
        ("instrument.json", ["id"], "ohs", "$.instrument"),
        ("questionnaire.json", ["item", 1, "answerOption", 0, "valueCoding", "extension"], [], "q2"),
        ("questionnaire.json", ["item", 4, "answerOption"], [], "$.scores[0].rule"),
        (
            "questionnaire.json",
            ["item", 0, "answerOption", 0, "valueCoding", "extension", 0, "valueDecimal"],
            5,
            "$.scores[0].range",
        ),
    ],
)
def test_a_wrong_definition_names_its_path(
    tmp_path: Path, file_name: str, path: list[Any], value: Any, named: str
) -> None:
    folder = broken(tmp_path, "oks", file_name, path, value)
    with pytest.raises(DefinitionError) as refusal:
        load_instrument(folder)
    assert named in str(refusal.value)


def test_an_alert_on_no_item(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"alerts\[0\]\.item"):
        load_instrument(broken(tmp_path, "phq-9", "scoring.json", ["alerts", 0, "item"], "q10"))


def test_text_that_is_not_json(tmp_path: Path) -> None:
    folder = tmp_path / "oks"
    shutil.copytree(QUESTIONNAIRES / "oks", folder)
    (folder / "scoring.json").write_text("{")
    with pytest.raises(DefinitionError, match=r"scoring\.json is not JSON"):
        load_instrument(folder)


def test_the_checksum_follows_every_rule(tmp_path: Path) -> None:
    changed = load_instrument(broken(tmp_path, "oks", "scoring.json", ["scores", 0, "decimals"], 2))
    assert changed.checksum != load_instrument(QUESTIONNAIRES / "oks").checksum


def test_the_canonical_base_is_replaced_everywhere() -> None:
    oks = shipped("https://fhir.example.nhs.uk/msk").instrument("oks")
    assert oks.canonical == "https://fhir.example.nhs.uk/msk/Questionnaire/oks|1.0.0-neutral"
    assert BASE not in json.dumps(oks.questionnaire, default=str)


def test_an_unknown_questionnaire_names_the_known_ones() -> None:
    with pytest.raises(FhirError) as refusal:
        shipped(BASE).of_questionnaire(f"{BASE}/Questionnaire/ffbh|1")
    assert refusal.value.status == 422
    assert "oks" in str(refusal.value)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_no_published_form_is_claimed(name: str) -> None:
    instrument = load_instrument(QUESTIONNAIRES / name)
    assert instrument.experimental
    assert instrument.version.endswith("-neutral")
    assert instrument.metadata["evidence"] != "source-checked"
