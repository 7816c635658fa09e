"""Laboratory values in their units: converted by UCUM, refused without one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.scoring import Scoring, score_response
from tests.instruments.responses import BASE, UCUM, answered

RATINGS = {"tjc28": 2, "sjc28": 1, "patient_global_0_10": 3, "physician_global_0_10": 4}
SCORE = Decimal(11)
"""SDAI by hand: 2 + 1 + 3 + 4 and a CRP of 1 mg/dL (Smolen 2003: the sum of the five)."""


def scored(quantity: dict[str, Any]) -> Scoring:
    answers = {**{name: Decimal(value) if "global" in name else value for name, value in RATINGS.items()}}
    body = answered("sdai", {**answers, "crp_mg_dl": {"value": "1", "unit": "mg/dL"}})
    place = next(item for item in body["item"] if item["linkId"] == "crp_mg_dl")
    place["answer"] = [{"valueQuantity": quantity}]
    return score_response(shipped(BASE).instrument("sdai"), body, now=datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize(("value", "unit"), [("1", "mg/dL"), ("10", "mg/L"), ("0.01", "g/L"), ("10", "ug/mL")])
def test_the_same_amount_in_another_unit(value: str, unit: str) -> None:
    scoring = scored({"value": Decimal(value), "system": UCUM, "code": unit})
    assert scoring.refused == ()
    assert scoring.results[0].value == SCORE


@pytest.mark.parametrize(
    "quantity",
    [
        {"value": 1},
        {"value": 1, "unit": "mg/dL"},
        {"value": 1, "system": UCUM, "code": "mm/h"},
        {"value": 1, "system": UCUM, "code": "mmol/L"},
        {"value": 1, "system": UCUM, "code": "1"},
        {"value": -1, "system": UCUM, "code": "mg/dL"},
        {"value": 1, "comparator": "<", "system": UCUM, "code": "mg/dL"},
    ],
)
def test_an_amount_that_cannot_be_read_in_the_unit_of_the_rule(quantity: dict[str, Any]) -> None:
    scoring = scored(quantity)
    assert scoring.results == ()
    assert len(scoring.refused) == 1
    assert (scoring.refused[0].expression or "").startswith("QuestionnaireResponse.item[")
