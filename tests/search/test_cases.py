"""Resources found and not found, by the sections of R4's search page (tests/cases/search)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.search.evaluator import matches

CASES = Path(__file__).parents[1] / "cases" / "search"


def cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.json")):
        content = json.loads(file.read_text(), parse_float=Decimal)
        for number, group in enumerate(content["groups"]):
            for case in group["cases"]:
                yield pytest.param(
                    group["resource"], case["search"], case["match"], id=f"{file.stem}-{number}-{case['search']}"[:120]
                )


@pytest.mark.parametrize(("resource", "search", "expected"), list(cases()))
def test_a_search_finds_what_the_specification_says(resource: dict[str, Any], search: str, expected: bool) -> None:
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in search.split("&"))]
    assert matches(resource, *pairs) is expected
