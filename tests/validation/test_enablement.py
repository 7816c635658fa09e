"""enableWhen (R4 questionnaire.html#Questionnaire.item.enableWhen; valueset-questionnaire-enable-operator)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.validation.enablement import disabled_items
from tests.instruments.responses import response
from tests.instruments.test_definitions import scored, variant

CODING = {"system": "s", "code": "a"}
GRAMS = {"value": 1000, "system": "http://unitsofmeasure.org", "code": "g"}
KILOGRAM = {"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}


@pytest.mark.parametrize(
    ("condition", "answers", "enabled"),
    [
        ({"operator": "exists", "answerBoolean": True}, [], False),
        ({"operator": "exists", "answerBoolean": True}, [{"valueInteger": 0}], True),
        ({"operator": "exists", "answerBoolean": False}, [], True),
        ({"operator": "=", "answerInteger": 2}, [{"valueInteger": 1}, {"valueInteger": 2}], True),
        ({"operator": "=", "answerInteger": 2}, [], False),
        ({"operator": "!=", "answerInteger": 2}, [{"valueInteger": 2}], False),
        ({"operator": "!=", "answerInteger": 2}, [], True),
        ({"operator": ">", "answerInteger": 2}, [{"valueInteger": 3}], True),
        ({"operator": ">=", "answerDecimal": Decimal("2.5")}, [{"valueDecimal": Decimal("2.50")}], True),
        ({"operator": "<", "answerDate": "2026-01-01"}, [{"valueDate": "2025-12-31"}], True),
        ({"operator": "<=", "answerInteger": 2}, [{"valueInteger": 3}], False),
        ({"operator": "<", "answerInteger": 2}, [{"valueString": "1"}], False),
        ({"operator": "=", "answerCoding": CODING}, [{"valueCoding": {**CODING, "display": "A"}}], True),
        ({"operator": "=", "answerCoding": CODING}, [{"valueCoding": {"system": "t", "code": "a"}}], False),
        ({"operator": "=", "answerQuantity": GRAMS}, [{"valueQuantity": KILOGRAM}], True),
        ({"operator": ">", "answerQuantity": GRAMS}, [{"valueQuantity": {**KILOGRAM, "code": "m"}}], False),
        ({"operator": "=", "answerReference": {"reference": "P/1"}}, [{"valueReference": {"reference": "P/1"}}], True),
    ],
)
def test_operators(condition: dict[str, Any], answers: list[dict[str, Any]], enabled: bool) -> None:
    form = {"item": [{"linkId": "a"}, {"linkId": "b", "enableWhen": [{"question": "a", **condition}]}]}
    assert disabled_items(form, {"item": [{"linkId": "a", "answer": answers}]}) == (set() if enabled else {"b"})


def test_any_or_all_and_what_is_below() -> None:
    yes = {"question": "a", "operator": "exists", "answerBoolean": True}
    no = {"question": "a", "operator": "exists", "answerBoolean": False}
    below = [{"linkId": "c"}]
    body = {"item": [{"linkId": "a", "answer": [{"valueInteger": 1}]}]}
    strict = {"item": [{"linkId": "b", "enableWhen": [yes, no], "enableBehavior": "all", "item": below}]}
    assert disabled_items(strict, body) == {"b", "c"}
    lenient = {"item": [{"linkId": "b", "enableWhen": [yes, no], "enableBehavior": "any", "item": below}]}
    assert disabled_items(lenient, body) == set()


def test_an_answer_to_a_disabled_item_refuses_the_response(tmp_path: Path) -> None:
    form_item = {
        "linkId": "q1",
        "type": "integer",
        "answerOption": [{"valueInteger": number} for number in range(5)],
        "enableWhen": [{"question": "q2", "operator": "exists", "answerBoolean": False}],
    }
    scoring = scored(variant(tmp_path, form_item), {"linkId": "q1", "answer": [{"valueInteger": 1}]})
    assert [(issue.code, issue.expression) for issue in scoring.refused] == [
        ("business-rule", "QuestionnaireResponse.item[0].answer")
    ]
    assert response("oks", [0] * 12)["item"][1]["answer"]
