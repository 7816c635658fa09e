"""The official R4 cases (FHIR/fhir-test-cases, r4/fhirpath), where FHIR_TEST_FHIRPATH says where they are.

Every miss is listed with its reason in tests/cases/fhirpath/r4_expected_failures.json; one that passes must be
taken off the list. Cases that are invalid for a semantic reason are compiled strictly, as their `mode` asks.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server import fhirpath
from fhir_server.fhirpath.quantity import parse_quantity
from fhir_server.fhirpath.temporal import parse_datetime, parse_time
from fhir_server.model.json import encode, parse

SUITE = os.environ.get("FHIR_TEST_FHIRPATH", "")
EXPECTED_FAILURES = Path(__file__).parents[1] / "cases" / "fhirpath" / "r4_expected_failures.json"

pytestmark = pytest.mark.skipif(not SUITE, reason="FHIR_TEST_FHIRPATH does not say where the official R4 cases are")


@cache
def suite() -> dict[str, Any]:
    return parse(Path(SUITE).read_bytes(), max_depth=100)


def identity(number: int, case: dict[str, Any]) -> str:
    """Names repeat in the suite; numbers alone say nothing."""
    return f"{number}:{case['name']}"


def problem(case: dict[str, Any]) -> str | None:
    """What is wrong with the answer, or None."""
    resource = suite()["inputs"].get(case["input"]) or {"resourceType": "Basic"}
    strict = case["invalid"] == "semantic" or case["mode"] == "strict"
    try:
        compiled = fhirpath.compile(case["expr"], strict=strict)
        found = compiled.typed(resource)
        answer = compiled.evaluate(resource)
    except (fhirpath.InvalidExpression, fhirpath.EvaluationError) as error:
        return None if case["invalid"] else f"refused: {error}"
    if case["invalid"]:
        return f"not refused, but {found}"
    if json.loads(encode(answer)) != json.loads(encode([value for _, value in found])):
        return f"over raw values {answer}, over nodes {found}"
    if case["predicate"]:
        found = [("System.Boolean", bool(found) and found != [("System.Boolean", False)])]
    wanted = case["outputs"]
    if len(found) != len(wanted):
        return f"{found} instead of {wanted}"
    pairs = zip(found, wanted, strict=True)
    if not case["ordered"]:
        pairs = zip(sorted(found, key=repr), sorted(wanted, key=repr), strict=True)
    return None if all(matches(*pair) for pair in pairs) else f"{found} instead of {wanted}"


def matches(found: tuple[str, Any], wanted: list[Any]) -> bool:
    full_name, value = found
    type_name, text = wanted
    if type_name is not None and full_name.partition(".")[2].lower() != type_name.lower():
        return False
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | Decimal):
        return str(value) == text or Decimal(value) == Decimal(text)
    if isinstance(value, dict):
        quantity = parse_quantity(text)
        return quantity is not None and (value["value"], value["unit"]) == (quantity.value, quantity.unit)
    if text.startswith("@"):
        read = parse_time if text.startswith("@T") else parse_datetime
        return read(value) == read(text.removeprefix("@"))
    return value == text


@pytest.fixture(scope="module")
def problems() -> dict[str, str]:
    cases = [(identity(number, case), case) for number, case in enumerate(suite()["cases"])]
    return {name: found for name, case in cases if (found := problem(case)) is not None}


def test_at_least_915_of_935_cases_pass(problems: dict[str, str]) -> None:
    total = len(suite()["cases"])
    assert total == 935
    assert total - len(problems) >= 915, "\n".join(f"{name}: {found}" for name, found in problems.items())


def test_every_miss_is_expected_and_every_expected_miss_still_is_one(problems: dict[str, str]) -> None:
    expected = json.loads(EXPECTED_FAILURES.read_text())["cases"]
    assert all(expected.values()), "each expected failure has a reason"
    assert {name: problems.get(name) for name in problems.keys() ^ expected.keys()} == {}
