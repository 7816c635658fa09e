"""The cases in tests/cases/fhirpath, by section of the specification: [expression, result as JSON or "error"]."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server import fhirpath

CASES = Path(__file__).parents[1] / "cases" / "fhirpath"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(), parse_float=Decimal)


RESOURCES = _read(CASES / "resources.json")
GROUPS = [
    group
    for path in sorted(CASES.glob("*.json"))
    if path.name not in ("resources.json", "r4_expected_failures.json")
    for group in _read(path)
]
PARAMETERS = [
    pytest.param(RESOURCES[group["resource"]], expression, expected, id=f"{group['section']}: {expression}")
    for group in GROUPS
    for expression, expected in group["cases"]
]


def test_there_are_hundreds_of_cases() -> None:
    assert len(PARAMETERS) > 400


@pytest.mark.parametrize(("resource", "expression", "expected"), PARAMETERS)
def test_case(resource: dict[str, Any], expression: str, expected: Any) -> None:
    """Over raw values and over nodes: the answer must be the same."""
    if expected == "error":
        with pytest.raises((fhirpath.InvalidExpression, fhirpath.EvaluationError), match=r"column \d+"):
            fhirpath.compile(expression).evaluate(resource)
        with pytest.raises((fhirpath.InvalidExpression, fhirpath.EvaluationError), match=r"column \d+"):
            fhirpath.compile(expression).typed(resource)
        return
    assert fhirpath.compile(expression).evaluate(resource) == expected
    assert [value for _, value in fhirpath.compile(expression).typed(resource)] == expected
