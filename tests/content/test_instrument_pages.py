"""tools/instrument_pages has been run: docs/instruments/ says what the instruments' folders say, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools.instrument_pages import PLACE, ROOT, generated

GENERATED = generated(ROOT)
IDS = sorted(path.parent.name for path in ROOT.glob("questionnaires/*/scoring.json"))


def page(instrument_id: str) -> str:
    return (ROOT / PLACE / f"{instrument_id}.md").read_text()


def read(instrument_id: str, name: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "questionnaires" / instrument_id / name).read_text()))


@pytest.mark.parametrize("name", GENERATED)
def test_generating_again_changes_nothing(name: str) -> None:
    assert (ROOT / PLACE / name).read_text() == GENERATED[name], "run python -m tools.instrument_pages"


def test_there_is_a_page_for_each_and_no_other() -> None:
    assert sorted(path.stem for path in Path(ROOT / PLACE).glob("*.md")) == sorted(["README", *IDS])


def test_the_index_links_every_page() -> None:
    index = (ROOT / PLACE / "README.md").read_text()
    assert [instrument_id for instrument_id in IDS if f"]({instrument_id}.md)" not in index] == []


@pytest.mark.parametrize("name", GENERATED)
def test_nothing_is_called_verified(name: str) -> None:
    assert not re.search(r"\bverified\b", (ROOT / PLACE / name).read_text(), re.IGNORECASE)


@pytest.mark.parametrize("instrument_id", IDS)
def test_a_page_says_what_a_safety_officer_needs(instrument_id: str) -> None:
    text = page(instrument_id)
    metadata, scoring = read(instrument_id, "instrument.json"), read(instrument_id, "scoring.json")
    cells = text.replace("\\|", "|")
    assert f"**Evidence status: {metadata['evidence']}**" in text
    assert metadata["licence"]["text"] in text
    assert scoring["questionnaire"] in cells
    for source in metadata["sources"]:
        assert source["text"] in text
        assert source.get("doi", "") in text
    for score in scoring["scores"]:
        assert f"`{instrument_id}.{score['name']}`" in text
        assert score["source"] in text
        if score["missing"]["rule"] != "none":
            assert score["missing"]["source"] in text
        for step in score.get("bands", {}).get("steps", ()):
            assert f"`{instrument_id}.{step['code']}`" in text
    for entry in metadata["mic"]:
        assert entry["population"] in text
        assert entry["source"] in text
    for alert in scoring["alerts"]:
        assert alert["advice"] in text


def test_a_page_of_self_harm_names_its_hazard() -> None:
    assert "#h6-thoughts-of-self-harm-are-not-seen" in page("phq-9")
    assert "#h6-" not in page("gad-7")
