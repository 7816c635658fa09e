"""docs/content-list.md is what the tool writes of the files as they are."""

from __future__ import annotations

from pathlib import Path

from tools.content_list import page


def test_the_list_is_up_to_date(repository: Path) -> None:
    written = (repository / "docs" / "content-list.md").read_text(encoding="utf-8")
    assert written == page(repository), "run: python -m tools.content_list"


def test_it_names_what_there_is(repository: Path) -> None:
    """Counted apart: one row for each file, leaving out what has pages of its own."""
    rows = [line for line in page(repository).splitlines() if line.startswith("| `")]
    structures = len(list((repository / "profiles").glob("StructureDefinition-*.json")))
    parameters = len(list((repository / "profiles").glob("SearchParameter-*.json")))
    maps = len(list((repository / "terminology").glob("ConceptMap-*.json")))
    systems = len(list((repository / "terminology").glob("CodeSystem-*.json")))
    answers = len(list((repository / "terminology").glob("CodeSystem-*-answer.json")))
    sets = len(list((repository / "terminology").glob("ValueSet-*.json"))) - (systems - answers)
    assert len(rows) == structures + parameters + maps + systems - answers + sets
    assert "| `msk-step-task` | Task |" in page(repository)
