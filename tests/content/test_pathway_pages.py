"""tools/pathway_pages has been run: docs/pathways.md says what the shipped pathways say."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.content import shipped_resources
from tools.pathway_pages import PLACE, ROOT, generated

Json = dict[str, Any]
PAGE = (ROOT / PLACE).read_text(encoding="utf-8")
SHIPPED = shipped_resources("https://fhir.example.org/msk")
PLANS = {one["id"]: one for one in SHIPPED if one["resourceType"] == "PlanDefinition"}
LIBRARIES = {one["id"]: one for one in SHIPPED if one["resourceType"] == "Library"}


def actions(parent: Json) -> Iterator[Json]:
    for action in parent.get("action", ()):
        yield action
        yield from actions(action)


def table_of(plan: str) -> dict[str, list[str]]:
    """The cells of each line of a pathway's table, by step number."""
    section = PAGE.partition(f"`{plan}`. ")[2].partition("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells] for cells in lines[2:]}


def test_generating_again_changes_nothing() -> None:
    assert generated() == PAGE, "run python -m tools.pathway_pages"


@pytest.mark.parametrize("plan", PLANS)
def test_every_step_has_a_line_with_its_conditions_and_its_sources(plan: str) -> None:
    lines = table_of(plan)
    steps = list(actions(PLANS[plan]))
    assert len(lines) == len(steps)
    for action in steps:
        cells = lines[action["prefix"]]
        assert action["title"].removeprefix("Answer: ") in cells[1]
        for condition in action.get("condition", ()):
            assert condition["expression"]["description"].removesuffix(".") in cells[4]
        assert (cells[5].strip(" |") == "sample") == ("documentation" not in action)


@pytest.mark.parametrize("plan", PLANS)
def test_a_pathway_says_that_it_is_a_sample(plan: str) -> None:
    assert "samples for trying the software out, not clinical advice" in PLANS[plan]["description"]
    assert PLANS[plan]["description"] in PAGE


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_words_patients_read_are_there_and_say_that_they_are_samples(library: str) -> None:
    words = b64decode(LIBRARIES[library]["content"][0]["data"]).decode()
    assert "It is not medical advice." in words
    for line in words.splitlines():
        assert line.removeprefix("# ") in PAGE


def test_three_lines_as_a_clinician_reads_them() -> None:
    """Written by hand."""
    lines = table_of("low-back-pain-1.0.0")
    assert lines["1.1"][2] == "on the day of: referral received; open for 12 weeks"
    assert lines["13"][1:4] == [
        "Questionnaire: MSK-HQ",
        "6 weeks after: referral received; from 1 week before to 2 weeks after",
        "patient",
    ]
    assert lines["10"][4] == "STarT Back risk group: high; No red flag, or a clinician has cleared them"


def test_a_clinician_meets_no_code_of_a_machine() -> None:
    assert not re.search(r'[{}]|"resourceType"|%scores|%responses|canonical', PAGE)
