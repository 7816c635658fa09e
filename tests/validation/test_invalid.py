"""Invalid resources, each with the issue codes and expressions that answer it (tests/cases/validation)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.errors import InvalidResource
from fhir_server.interactions.body import resource_of
from fhir_server.interactions.exchange import Request, Server
from fhir_server.validation import validate
from fhir_server.validation.fast import Doubt, check

CASES = Path(__file__).parents[1] / "cases" / "validation"

Json = dict[str, Any]


def cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("invalid_*.json")):
        for case in json.loads(file.read_text(), parse_float=Decimal)["cases"]:
            name = f"{file.stem.removeprefix('invalid_')}: {case['title']} ({case['section']})"
            yield pytest.param(case["resource"], case["issues"], id=name)


@pytest.mark.parametrize(("resource", "expected"), list(cases()))
def test_every_fault_is_reported_at_its_place(resource: Json, expected: list[list[str]]) -> None:
    with pytest.raises((Doubt, KeyError)):
        check(resource)
    with pytest.raises(InvalidResource) as refusal:
        validate(resource)
    assert refusal.value.status == 400
    assert {(issue.code, issue.expression) for issue in refusal.value.issues} == {tuple(issue) for issue in expected}
    assert all(issue.severity == "error" and issue.diagnostics for issue in refusal.value.issues)


@pytest.mark.parametrize("body", [[], "Patient", 7, None, True])
def test_only_an_object_is_a_resource(body: Any) -> None:
    """R4 json.html#resources"""
    with pytest.raises(InvalidResource) as refusal:
        validate(body)
    assert [issue.code for issue in refusal.value.issues] == ["structure"]


@pytest.mark.parametrize("body", [{"resourceType": "Person"}, {"resourceType": ["Patient"]}, {"active": True}])
def test_the_resource_is_of_the_type_the_url_names(server: Server, body: Json) -> None:
    """R4 http.html#create"""
    with pytest.raises(InvalidResource) as refusal:
        resource_of(server, Request("POST", "Patient", resource=body), "Patient")
    assert [issue.expression for issue in refusal.value.issues] == ["resourceType"]


def test_issues_come_in_the_order_of_the_elements() -> None:
    with pytest.raises(InvalidResource) as refusal:
        validate({"resourceType": "Patient", "gender": "man", "name": [{"use": "nick", "family": 1}], "active": "no"})
    expressions = [issue.expression for issue in refusal.value.issues]
    assert expressions == ["Patient.gender", "Patient.name[0].use", "Patient.name[0].family", "Patient.active"]
    assert str(refusal.value) == refusal.value.issues[0].diagnostics


def test_a_hopeless_resource_is_answered_with_a_bounded_number_of_issues() -> None:
    with pytest.raises(InvalidResource) as refusal:
        validate({"resourceType": "Patient", "name": [{"use": "nick"}] * 1000})
    assert len(refusal.value.issues) == 200
