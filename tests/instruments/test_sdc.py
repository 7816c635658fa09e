"""The expressions a Questionnaire carries for other software reckon what the scorer reckons, or nothing.

SDC: http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression, R4's `variable` in order;
FHIRPath N1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server import fhirpath
from fhir_server.instruments.answers import read_answers
from fhir_server.instruments.batch import BatchScorer
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.formula import exact
from fhir_server.instruments.quick import quick_readings
from fhir_server.instruments.rounding import as_decimal
from fhir_server.instruments.scoring import score_readings, score_response
from fhir_server.validation import validate
from tests.instruments.golden import DEFINED, NOW, vectors
from tests.instruments.responses import BASE, QUESTIONNAIRES, answered, item, response
from tests.instruments.test_quick import responses
from tools.sdc_expressions import generated

CATALOGUE = shipped(BASE)
NOT_EXPRESSED = {
    "eq-5d-5l.index_uk_crosswalk_vanhout2012",
    "eq-5d-5l.index_uk_dsu_mapping",
}
"""Tables of thousands of cells. Rules known from memory come on top."""
ANSWERS: list[dict[str, Any]] = [
    {"valueDecimal": Decimal("1.5")},
    {"valueInteger": 0},
    {"valueString": "low"},
    {"valueQuantity": {"value": 3}},
]
N1 = {
    *("repeat", "where", "select", "exists", "count", "combine", "aggregate", "substring"),
    *("toInteger", "toDecimal", "toString", "sqrt", "ln", "round"),
}


def _expressions(instrument: Instrument) -> tuple[dict[str, str], dict[str, str]]:
    """Of the variables by name and of the scores by score name, as the Questionnaire has them."""
    variables = {}
    for extension in instrument.questionnaire.get("extension", ()):
        assert extension["url"] == "http://hl7.org/fhir/StructureDefinition/variable"
        expression = extension["valueExpression"]
        assert (expression["language"], expression["name"] in variables) == ("text/fhirpath", False)
        variables[expression["name"]] = expression["expression"]
    scores = {}
    for group in instrument.questionnaire["item"]:
        for score in group["item"] if group["linkId"] == "g-scores" else ():
            (extension,) = score["extension"]
            assert extension["url"].endswith("/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression")
            scores[score["linkId"].removeprefix("score-")] = extension["valueExpression"]["expression"]
    return variables, scores


@cache
def _compiled(instrument_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    variables, scores = _expressions(CATALOGUE.instrument(instrument_id))
    return (
        {name: fhirpath.compile(expression) for name, expression in variables.items()},
        {name: fhirpath.compile(expression) for name, expression in scores.items()},
    )


def _reckoned(instrument: Instrument, body: dict[str, Any]) -> dict[str, Decimal | str | None]:
    variables, scores = _compiled(instrument.id)
    known: dict[str, Any] = {}
    for name, expression in variables.items():
        known[name] = expression.evaluate(body, known)
    found = {}
    for name, expression in scores.items():
        values = expression.evaluate(body, known)
        assert len(values) <= 1
        found[name] = _comparable(values[0]) if values else None
    return found


def _comparable(value: Any) -> Decimal | str:
    return value if isinstance(value, str) else as_decimal(exact(value))


def _scored(instrument: Instrument, body: dict[str, Any]) -> dict[str, Decimal | str | None] | None:
    """By the rules that are not from memory; None when the response is wrong, and has no scores."""
    answers = read_answers(instrument, body)
    if answers.issues:
        return None
    readings = {link_id: values[0] for link_id, values in answers.readings.items()}
    results = score_readings(instrument, readings, "completed")
    return {result.score.name: result.code or result.value for result in results}


def _disagreements(instrument: Instrument, body: dict[str, Any]) -> Iterator[str]:
    scored = _scored(instrument, body)
    if scored is None:
        return
    other_unit = _has_other_unit(instrument, body)
    for name, value in _reckoned(instrument, body).items():
        if value != scored[name] and not (other_unit and value is None):
            yield f"{name} is {value}, the scorer has {scored[name]}"


def _has_other_unit(instrument: Instrument, body: dict[str, Any]) -> bool:
    """A quantity in another unit than the Questionnaire's: the scorer converts it, FHIRPath N1 has no value."""
    return any(
        answer["valueQuantity"].get("code") != instrument.items[each["linkId"]].unit
        for each in body["item"]
        for answer in each.get("answer", ())
        if "valueQuantity" in answer
    )


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_every_vector(instrument_id: str) -> None:
    instrument = CATALOGUE.instrument(instrument_id)
    wrong = [
        f"{vector['name']}: {disagreement}"
        for vector in vectors(instrument_id)
        if not vector.get("allow_unverified")
        for disagreement in _disagreements(instrument, answered(instrument_id, vector["answers"]))
    ]
    assert not wrong, "\n".join(wrong)


@settings(max_examples=150)
@given(responses(damaged=False))
def test_random_responses(body: dict[str, Any]) -> None:
    assert not list(_disagreements(CATALOGUE.of_questionnaire(body["questionnaire"]), body))


@settings(max_examples=150)
@given(responses(damaged=False) | responses(damaged=True), st.data())
def test_what_a_form_calculated_counts_for_nothing(body: dict[str, Any], data: st.DataObject) -> None:
    """Results, refusals and alerts are those of the response without; only warnings come on top."""
    instrument = CATALOGUE.of_questionnaire(body["questionnaire"])
    _, scores = _expressions(instrument)
    given = data.draw(st.lists(st.sampled_from(sorted(scores)), unique=True)) if scores else []
    calculated = [{"linkId": f"score-{name}", "answer": [data.draw(st.sampled_from(ANSWERS))]} for name in given]
    more = {**body, "item": [*body["item"], {"linkId": "g-scores", "item": calculated}]}
    plain, other = (score_response(instrument, each, now=NOW) for each in (body, more))
    if scores:
        assert (other.results, other.refused, other.alerts) == (plain.results, plain.refused, plain.alerts)
        assert [warning for warning in other.warnings if "the form calculated" not in warning.diagnostics] == list(
            plain.warnings
        )
        scorer = BatchScorer(CATALOGUE, NOW, allow_unverified=False)
        assert scorer.rows(more) == scorer.rows(body)
        faultless = quick_readings(instrument, body, NOW)
        assert quick_readings(instrument, more, NOW) == faultless, "it is read as quickly"


def test_an_item_hidden_below_a_calculated_one_is_found() -> None:
    """Quickly read it would be missed, and with it an alert."""
    body = response("phq-9", [0] * 8)
    hidden = {"item": [item("phq-9", "q9", 3)]}
    body["item"].append({"linkId": "g-scores", "item": [{"linkId": "score-total", "answer": [hidden]}]})
    scoring = score_response(CATALOGUE.instrument("phq-9"), body, now=NOW)
    assert [raised.value for raised in scoring.alerts] == [3]
    assert [issue.code for issue in scoring.refused] == ["structure"]


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_every_score_is_expressed_but_those_from_memory_and_large_tables(instrument_id: str) -> None:
    instrument = CATALOGUE.instrument(instrument_id)
    _, scores = _expressions(instrument)
    wanted = {score.name for score in instrument.scores if score.evidence != "memory"}
    assert set(scores) == wanted - {
        name.partition(".")[2] for name in NOT_EXPRESSED if name.startswith(f"{instrument_id}.")
    }


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_a_value_is_expected_of_every_expression(instrument_id: str) -> None:
    """Otherwise an expression that never gives any would agree with a rule that is never tried."""
    instrument = CATALOGUE.instrument(instrument_id)
    _, scores = _expressions(instrument)
    reckoned = [
        _reckoned(instrument, answered(instrument_id, vector["answers"]))
        for vector in vectors(instrument_id)
        if not vector.get("allow_unverified") and "refused" not in vector["expect"]
    ]
    assert all(any(found[name] is not None for found in reckoned) for name in scores)


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_writing_again_changes_nothing(instrument_id: str) -> None:
    folder = QUESTIONNAIRES / instrument_id
    assert generated(folder) == (folder / "questionnaire.json").read_text()


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_plain_fhirpath_in_a_valid_questionnaire(instrument_id: str) -> None:
    """Names are R4 ids and identifiers of FHIRPath at once; functions are of N1, or FHIR's types."""
    instrument = CATALOGUE.instrument(instrument_id)
    validate(instrument.questionnaire)
    variables, scores = _expressions(instrument)
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9]{0,63}", name) for name in variables)
    for expression in (*variables.values(), *scores.values()):
        assert set(re.findall(r"\.(\w+)\(", expression)) <= N1
    below = [each for group in instrument.questionnaire["item"] for each in group.get("item", ())]
    assert all(each["readOnly"] for each in below if each["linkId"].startswith("score-"))


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_another_program_reckons_the_same(instrument_id: str) -> None:
    """fhirpathpy, on a vector with values and one with as few as there are."""
    instrument = CATALOGUE.instrument(instrument_id)
    bodies = [
        answered(instrument_id, vector["answers"])
        for vector in vectors(instrument_id)
        if not vector.get("allow_unverified") and "refused" not in vector["expect"]
    ]
    bodies = [body for body in bodies if not _has_other_unit(instrument, body)]
    bodies.sort(key=lambda body: sum(value is None for value in _reckoned(instrument, body).values()))
    for body in (*bodies[:1], *bodies[-1:]):
        assert _elsewhere(instrument, body) == _reckoned(instrument, body)


def _elsewhere(instrument: Instrument, body: dict[str, Any]) -> dict[str, Decimal | str | None]:
    variables, scores = _expressions(instrument)
    known: dict[str, Any] = {"resource": body}
    for name, expression in variables.items():
        known[name] = fhirpathpy.evaluate(body, expression, known, models["r4"])
    found = {}
    for name, expression in scores.items():
        values = fhirpathpy.evaluate(body, expression, known, models["r4"])
        found[name] = (
            _comparable(Decimal(str(values[0])) if not isinstance(values[0], str) else values[0]) if values else None
        )
    return found
