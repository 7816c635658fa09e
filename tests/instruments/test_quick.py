"""The quick reading and the explaining one, the rows of many and `$score`: the same values for any response."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.instruments.acceptance import refusals
from fhir_server.instruments.answers import read_answers
from fhir_server.instruments.batch import BatchScorer
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import NOT_APPLICABLE, Item, Subject
from fhir_server.instruments.quick import quick_readings
from fhir_server.instruments.scoring import score_response
from tests.instruments.responses import BASE, UCUM, answered, response

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CATALOGUE = shipped(BASE)
SUBJECTS = st.builds(
    Subject,
    st.sampled_from([None, "male", "female"]),
    st.one_of(st.none(), st.integers(0, 110).map(lambda age: (age, age))),
)
DAMAGE: list[dict[str, Any]] = [
    {},
    {"valueInteger": 99},
    {"valueInteger": -1},
    {"valueInteger": True},
    {"valueDecimal": Decimal("0.25")},
    {"valueString": "3"},
    {"valueCoding": {"code": "1"}},
    {"valueCoding": {"system": "https://example.org", "code": "1"}},
    {"valueCoding": None},
    {"valueQuantity": {"value": 5}},
    {"valueQuantity": {"value": 1, "system": UCUM, "code": "mg/dL"}},
    {"valueInteger": 1, "valueString": "x"},
]


def _raw(item: Item) -> st.SearchStrategy[Any]:
    if item.type == "choice":
        readings = list(item.options.values())
        return st.sampled_from(["not-applicable" if reading is NOT_APPLICABLE else reading for reading in readings])
    low, high = int(item.low or 0), int(item.high if item.high is not None else 200)
    whole = st.integers(low, high)
    if item.type == "quantity":
        return whole.map(lambda amount: {"value": amount, "unit": item.unit})
    return whole


@st.composite
def responses(draw: st.DrawFn, damaged: bool) -> dict[str, Any]:
    instrument = CATALOGUE.instrument(draw(st.sampled_from(CATALOGUE.ids)))
    left_out = draw(st.sampled_from([0, 0, 1, 5]))
    answers = {
        link_id: draw(_raw(item))
        for link_id, item in instrument.items.items()
        if item.type and (not left_out or draw(st.integers(0, 9)) >= left_out)
    }
    body = copy.deepcopy(answered(instrument.id, answers))
    body["id"] = "r"
    if damaged:
        _damage(draw, body)
    return body


def _damage(draw: st.DrawFn, body: dict[str, Any]) -> None:
    leaves = [item for group in body["item"] for item in group.get("item", [group])]
    kind = draw(
        st.sampled_from(["answer", "twice", "two", "unknown", "authored", "status", "subject", "version", "misplaced"])
    )
    if kind == "authored":
        body["authored"] = draw(
            st.sampled_from(
                ["2026-06-01", "2026-05-31T23:59:59Z", "2027-01-01T00:00:00Z", "2026-02-30T00:00:00Z", 7, ""]
            )
        )
    elif kind == "status":
        body["status"] = draw(st.sampled_from(["entered-in-error", "in-progress", "amended", "x"]))
    elif kind == "subject":
        body["subject"] = draw(
            st.sampled_from([{}, {"reference": "Group/1"}, {"reference": "https://a.b/Patient/1"}, 3])
        )
    elif kind == "version":
        body["questionnaire"] += draw(st.sampled_from(["1", "|2"]))
    elif leaves:
        leaf = draw(st.sampled_from(leaves))
        if kind == "answer":
            leaf["answer"] = [draw(st.sampled_from(DAMAGE))]
        elif kind == "twice":
            body["item"].append(copy.deepcopy(leaf))
        elif kind == "two":
            leaf["answer"] = leaf.get("answer", []) * 2
        elif kind == "unknown":
            leaf["linkId"] = "nobody"
        else:
            body["item"].append({"linkId": "elsewhere", "item": [body["item"].pop()]})


@settings(max_examples=150)
@given(responses(damaged=False) | responses(damaged=True), SUBJECTS, st.booleans())
def test_both_readings_agree(body: dict[str, Any], subject: Subject, allow: bool) -> None:
    instrument = CATALOGUE.of_questionnaire(body["questionnaire"])
    quick = quick_readings(instrument, body, NOW)
    answers = read_answers(instrument, body)
    faults = [*refusals(instrument, body, NOW), *answers.issues]
    if quick is not None:
        assert faults == []
        assert {link_id: [reading] for link_id, reading in quick.items()} == answers.readings
    scoring = score_response(instrument, body, now=NOW, allow_unverified=allow, subject=subject)
    assert bool(faults) <= bool(scoring.refused)
    rows = BatchScorer(CATALOGUE, NOW, allow_unverified=allow).rows(body, subject)
    expected = [
        (f"{instrument.id}.{result.score.name}", result.code or result.value, result.absence is None)
        for result in scoring.results
    ]
    if scoring.refused:
        assert rows[0].status == "refused"
        assert rows[0].reason
        rows = rows[1:]
    scores = [row for row in rows if row.status != "alert"]
    assert [(row.score, row.value, row.status != "absent") for row in scores] == expected
    assert [row.status for row in scores if row.status != "absent"] == [
        result.status for result in scoring.results if not result.absence
    ]
    assert len(rows) - len(scores) == len(scoring.alerts)


@settings(max_examples=60)
@given(responses(damaged=False))
def test_a_response_without_faults_is_read_quickly(body: dict[str, Any]) -> None:
    """Otherwise the property above would say nothing of the quick reading."""
    assert quick_readings(CATALOGUE.of_questionnaire(body["questionnaire"]), body, NOW) is not None


@pytest.mark.parametrize(
    "authored", ["2026-02-30T00:00:00Z", "2026-05-01T25:00:00Z", "2026-05-01T10:00:00", "yesterday"]
)
def test_times_that_are_none_are_left_to_the_explaining_reading(authored: str) -> None:
    body = response("oks", [4] * 12, authored=authored)
    assert quick_readings(CATALOGUE.instrument("oks"), body, NOW) is None
