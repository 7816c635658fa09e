"""Valid resources in rare forms, which a check that is too strict would refuse (tests/cases/validation/valid.json)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.validation import issues
from fhir_server.validation.walker import all_issues

CASES = Path(__file__).parents[1] / "cases" / "validation" / "valid.json"


def cases() -> Iterator[Any]:
    for case in json.loads(CASES.read_text(), parse_float=Decimal)["cases"]:
        yield pytest.param(case["resource"], id=f"{case['title']} ({case['section']})")


@pytest.mark.parametrize("resource", list(cases()))
def test_a_rare_form_is_valid(resource: dict[str, Any]) -> None:
    assert issues(resource) == []
    assert all_issues(resource) == []


def test_a_string_may_have_one_megabyte_and_no_more() -> None:
    """R4 datatypes.html#string"""
    assert issues({"resourceType": "Patient", "name": [{"text": "x" * 1_048_576}]}) == []
    too_long = issues({"resourceType": "Patient", "name": [{"text": "x" * 1_048_577}]})
    assert [issue.expression for issue in too_long] == ["Patient.name[0].text"]
