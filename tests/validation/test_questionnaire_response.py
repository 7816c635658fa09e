"""Responses against their Questionnaires (tests/cases/questionnaire_response): each fault with its code and place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server import spec
from fhir_server.validation import validate
from fhir_server.validation.form import form_of
from fhir_server.validation.questionnaire_response import answer_issues

CASES = Path(__file__).parents[1] / "cases" / "questionnaire_response"
GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"

Json = dict[str, Any]


def cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.json")):
        for case in json.loads(file.read_text(), parse_float=Decimal)["cases"]:
            yield pytest.param(case, id=f"{file.stem}: {case['title']} ({case['section']})")


def _questionnaire(case: Json) -> Json:
    return {"resourceType": "Questionnaire", "status": "active", **case["questionnaire"]}


@pytest.mark.parametrize("case", list(cases()))
def test_every_fault_is_told_at_its_place(case: Json) -> None:
    questionnaire = _questionnaire(case)
    validate(questionnaire)
    form = form_of(questionnaire)
    codes = {(system, code) for system, listed in (spec.codes(GENDER) or {}).items() for code in listed}
    for sent in case["responses"]:
        response = {
            "resourceType": "QuestionnaireResponse",
            "status": sent.get("status", "completed"),
            **({"item": sent["item"]} if sent["item"] else {}),
        }
        validate(response)
        found = answer_issues(form, response, {GENDER: codes})
        assert sorted((one.code, str(one.expression)) for one in found) == sorted(map(tuple, sent["issues"])), sent
        assert all(one.severity == "error" and one.diagnostics for one in found)


def test_what_cannot_be_checked_is_told() -> None:
    """R4 extension-regex.html; a pattern that is none, an expression that does not parse, a linkId twice (que-2)."""
    regex = {"url": "http://hl7.org/fhir/StructureDefinition/regex", "valueString": "(unclosed"}
    url = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression"
    enabled = {"url": url, "valueExpression": {"language": "text/fhirpath", "expression": "1 +"}}
    items = [
        {"linkId": "a", "type": "string", "extension": [regex]},
        {"linkId": "b", "type": "string", "required": True, "extension": [enabled]},
        {"linkId": "a", "type": "string"},
        {"linkId": "c", "type": "choice", "answerValueSet": "#none"},
    ]
    form = form_of({"resourceType": "Questionnaire", "status": "active", "item": items})
    assert len(form.unusable) == 4
    answered = [{"linkId": "a", "answer": [{"valueString": "x"}]}]
    response = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": answered}
    assert answer_issues(form, response, {}) == []
