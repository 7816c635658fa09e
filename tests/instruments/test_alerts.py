"""Which answers alert, read from the response alone, and under which ids."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.instruments.alerts import alert_resources
from fhir_server.interactions.draft import indexed_again, prepare
from fhir_server.search.registry import R4
from tests.instruments.responses import BASE, QUESTIONNAIRES, response

ORDINAL_VALUE = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def answered(*values: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """A PHQ-9 with these answers to item 9 and none to the others."""
    items = [{"linkId": "q9", "answer": list(values)}] if values else []
    return {**response("phq-9", []), "id": "r-1", "item": items, **elements}


def made(body: dict[str, Any]) -> list[dict[str, Any]]:
    return list(alert_resources(body, BASE))


@pytest.mark.parametrize(
    "answer",
    [
        {"valueCoding": {"system": f"{BASE}/CodeSystem/phq-9-answer", "code": "1"}},
        {"valueCoding": {"system": "https://example.org/levels", "code": "3"}},
        {"valueCoding": {"code": "often", "extension": [{"url": ORDINAL_VALUE, "valueDecimal": 2}]}},
        {"valueCoding": {"code": "0", "extension": [{"url": ORDINAL_VALUE, "valueDecimal": Decimal("1.0")}]}},
        {"valueCoding": {"code": "3", "extension": [{"url": ORDINAL_VALUE, "valueDecimal": 0}]}},
        {"valueInteger": 1},
        {"valueDecimal": Decimal("0.5")},
        {"valueString": "2"},
        {"valueQuantity": {"value": Decimal(3), "code": "{score}"}},
        {"valueBoolean": True},
        {"valueCoding": {"display": "nearly every day"}},
        {"valueCoding": {"system": f"{BASE}/CodeSystem/phq-9-answer", "code": "several-days"}},
        {"valueString": "sometimes"},
        {"valueReference": {"reference": "Observation/1"}},
    ],
    ids=str,
)
def test_answers_that_alert(answer: dict[str, Any]) -> None:
    """Above 0, or not to be read."""
    flag, task = made(answered(answer))
    assert (flag["resourceType"], task["resourceType"]) == ("Flag", "Task")


@pytest.mark.parametrize(
    "answer",
    [
        {"valueCoding": {"system": f"{BASE}/CodeSystem/phq-9-answer", "code": "0"}},
        {"valueCoding": {"code": "never", "extension": [{"url": ORDINAL_VALUE, "valueDecimal": 0}]}},
        {"valueCoding": {"system": ABSENT, "code": "asked-declined"}},
        {"valueInteger": 0},
        {"valueDecimal": Decimal("0.0")},
        {"valueBoolean": False},
        {"_valueInteger": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason"}]}},
    ],
    ids=str,
)
def test_answers_that_do_not(answer: dict[str, Any]) -> None:
    assert made(answered(answer)) == []


RED_FLAGS = f"{BASE}/Questionnaire/msk-red-flags|1.0.0-neutral"


def test_a_form_that_is_not_scored_alerts_too() -> None:
    """One yes among the red flags: a Flag and a Task that says what to do; the other answers raise nothing."""
    items = [
        {"linkId": "numb_saddle", "answer": [{"valueBoolean": True}]},
        {"linkId": "fever", "answer": [{"valueBoolean": False}]},
        {"linkId": "comment", "answer": [{"valueString": "since Monday"}]},
    ]
    flag, task = made(answered(questionnaire=RED_FLAGS, item=items))
    assert flag["code"]["coding"][0]["code"] == "msk-red-flags.numb_saddle"
    assert task["priority"] == "urgent"
    assert "Ring the patient now" in task["description"]


@pytest.mark.parametrize("path", sorted(QUESTIONNAIRES.glob("*/alerts.json")), ids=lambda path: path.parent.name)
def test_alerts_of_a_form_are_of_items_that_it_has(path: Path) -> None:
    definition = json.loads(path.read_text())
    form = json.loads((path.parent / "questionnaire.json").read_text())
    assert definition["instrument"] == path.parent.name == form["url"].rpartition("/")[2]
    types = {item["linkId"]: item["type"] for item in form["item"]}
    assert {types[alert["item"]] for alert in definition["alerts"]} == {"boolean"}
    assert not (path.parent / "scoring.json").exists()


def test_the_same_answer_in_another_form_is_not_an_alert_of_this_one() -> None:
    items = [{"linkId": "fever", "answer": [{"valueBoolean": True}]}]
    flag, _ = made(answered(questionnaire=f"{BASE}/Questionnaire/wound-check|1.0.0-neutral", item=items))
    assert flag["code"]["coding"][0]["code"] == "wound-check.fever"
    assert made(answered(questionnaire="https://example.org/Questionnaire/other|1", item=items)) == []


def test_the_highest_of_several_answers_counts() -> None:
    _, task = made(answered({"valueInteger": 0}, {"valueInteger": 1}, {"valueInteger": 3}))
    assert "answered 3" in task["description"]


def test_an_item_below_an_answer_is_read() -> None:
    below = {"linkId": "q9", "answer": [{"valueInteger": 1}]}
    body = answered(item=[{"linkId": "q1", "answer": [{"valueInteger": 0, "item": [below]}]}])
    assert len(made(body)) == 2


@pytest.mark.parametrize(
    "questionnaire",
    [
        f"{BASE}/Questionnaire/phq-9",
        f"{BASE}/Questionnaire/phq-9|9.9",
        "https://example.org/fhir/Questionnaire/phq-9|1.0.0-neutral",
        "https://example.org/fhir/Questionnaire/PHQ-9",
    ],
)
def test_any_version_and_any_base(questionnaire: str) -> None:
    """The codes of the alert are this server's all the same."""
    flag, _ = made(answered({"valueInteger": 1}, questionnaire=questionnaire))
    assert flag["code"]["coding"][0]["system"] == f"{BASE}/CodeSystem/msk-score"


CODED = {"valueCoding": {"system": f"{BASE}/CodeSystem/phq-9-answer", "code": "1"}}


@pytest.mark.parametrize("questionnaire", [None, "#q", "https://example.org/fhir/Questionnaire/phq-9-1.0.0-neutral"])
def test_answers_of_the_instruments_own_options_alert_whatever_is_named(questionnaire: str | None) -> None:
    """Better once too often: the response names its Questionnaire wrongly, or not at all."""
    body = answered(CODED)
    del body["questionnaire"]
    named = {**body, "questionnaire": questionnaire} if questionnaire else body
    flag, _ = made(named)
    assert flag["code"]["coding"][0]["code"] == "phq-9.item9"
    assert made({**named, "item": [{"linkId": "q8", "answer": [CODED]}]}) == []
    assert made({**named, "item": [{"linkId": "q9", "answer": [{"valueInteger": 1}]}]}) == []
    other = {"system": f"{BASE}/CodeSystem/odi-answer", "code": "1"}
    assert made({**named, "item": [{"linkId": "q9", "answer": [{"valueCoding": other}]}]}) == []


def test_the_codes_are_of_the_base_that_is_set() -> None:
    flag, task = alert_resources(answered({"valueInteger": 1}), "https://nhs.example/msk")
    systems = {resource["code"]["coding"][0]["system"].partition("/CodeSystem/")[0] for resource in (flag, task)}
    assert systems == {"https://nhs.example/msk"}


def test_ids_follow_from_response_and_patient() -> None:
    def ids(**elements: Any) -> set[str]:
        return {resource["id"] for resource in made(answered({"valueInteger": 1}, **elements))}

    one = ids()
    assert len(one) == 1
    assert ids(status="amended", subject={"reference": "Patient/p-1/_history/2", "display": "x"}) == one
    others = [
        ids(id="r-2"),
        ids(subject={"reference": "Patient/p-2"}),
        ids(subject={"reference": "https://example.org/fhir/Patient/p-1"}),
        ids(subject={"identifier": {"system": "urn:a", "value": "1"}}),
        ids(subject={"identifier": {"system": "urn:a", "value": "2"}}),
    ]
    assert len(set.union(one, *others)) == 6


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Group/g"},
        {"reference": "#p"},
        {"type": "Practitioner", "identifier": {"value": "1"}},
        {"display": "A Patient"},
    ],
    ids=str,
)
def test_a_subject_that_cannot_be_flagged(subject: dict[str, Any]) -> None:
    """R4 Flag.subject: a Patient, here, that others can find."""
    (task,) = made(answered({"valueInteger": 1}, subject=subject))
    assert task["resourceType"] == "Task"
    assert "reasonReference" not in task
    assert "no Flag" in task["description"]


def test_search_parameters_that_change_change_the_alert_too() -> None:
    """What a load prepared before is indexed again with all it brings along."""
    draft = prepare(answered({"valueInteger": 1}), "r-1", time_zone="Europe/London")
    registry = replace(R4, epoch=7)
    again = indexed_again(draft, time_zone="Europe/London", registry=registry)
    assert [one.epoch for one in (again, *again.companions)] == [7, 7, 7]
    assert [one.about for one in again.companions] == [("Patient", "p-1")] * 2
