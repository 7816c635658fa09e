"""What holds for every shipped instrument and any answers: range, direction, and that only answers count."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import NOT_APPLICABLE, Instrument, Item, Subject
from fhir_server.instruments.scoring import ScoreResult, score_response
from tests.instruments.responses import BASE, answered

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CATALOGUE = shipped(BASE)
SCORED = [instrument_id for instrument_id in CATALOGUE.ids if CATALOGUE.instrument(instrument_id).scores]
MEASURED = [
    instrument_id
    for instrument_id in SCORED
    if any(item.type == "quantity" for item in CATALOGUE.instrument(instrument_id).items.values())
]
NOT_MONOTONE = {
    (
        "eq-5d-5l",
        "index_uk_dsu_mapping",
    ): "The NICE DSU mapping gives the expected 3L value of those who answer so, from "
    "a model of how people answer both forms (Hernandez Alava et al., doi:10.1007/s40273-022-01218-7), and orders no "
    "levels: men of 18 to 34 have 0.812360 in state 11131, 0.873379 in 11141.",
}
"""Scores that a worse answer may raise, and why that is published so."""
AGAINST_THE_OTHERS = {
    "eq-5d-3l": {"vas"},  # 100 is the best health, level 1 too
    "eq-5d-5l": {"vas"},
    "facit-f": {"q7", "q8"},  # An5 and An7: energy and usual activities, the two that are not reversed
    "promis-global-10": {"global07_raw_0_10"},  # pain, recoded
    "tsk-17": {"q4", "q8", "q12", "q16"},  # reversed
}
"""Items whose higher raw code says the opposite of that of the instrument's other items."""
OTHER_UNITS = {
    "mg/L": {"mg/dL": Decimal("0.1"), "g/L": Decimal("0.001"), "ug/mL": Decimal(1)},
    "mg/dL": {"mg/L": Decimal(10), "g/L": Decimal("0.01")},
    "mm/h": {"cm/h": Decimal("0.1"), "um/h": Decimal(1000)},
}
"""UCUM units of the same kind, and what one of the item's unit is in them."""
SOMEBODY = Subject("female", (50, 50))
SUBJECTS = st.builds(Subject, st.sampled_from(["male", "female"]), st.integers(18, 100).map(lambda age: (age, age)))
Values = dict[str, Decimal | str | None]


@cache
def levels(instrument_id: str, link_id: str) -> list[Any]:
    """The answers that are numbers, from the lowest, as `answered` takes them."""
    item = CATALOGUE.instrument(instrument_id).items[link_id]
    if item.type == "choice":
        coded = [(reading, key[2]) for key, reading in item.options.items() if reading is not NOT_APPLICABLE]
        return [code for _, code in sorted(coded)]
    low, high, step = item.low or 0, 200 if item.high is None else item.high, item.step or 1
    numbers = [low + place * step for place in range(int((high - low) / step) + 1)]
    if item.type == "quantity":
        return [{"value": int(number), "unit": item.unit} for number in numbers]
    if item.type == "decimal":
        return [Decimal(number.numerator) / number.denominator for number in numbers]
    return [int(number) for number in numbers]


def questions(instrument: Instrument) -> list[str]:
    return [link_id for link_id, item in instrument.items.items() if item.type]


@st.composite
def answers(draw: st.DrawFn, instrument: Instrument) -> dict[str, Any]:
    """Answers to all questions or all but a few. One byte chooses each: many draws would take long."""
    asked = questions(instrument)
    chosen = draw(st.binary(min_size=len(asked), max_size=len(asked)))
    given_answers = {
        link_id: _at(levels(instrument.id, link_id), byte) for link_id, byte in zip(asked, chosen, strict=True)
    }
    for link_id in draw(st.lists(st.sampled_from(asked), max_size=3)):
        if draw(st.booleans()) and _takes_not_applicable(instrument.items[link_id]):
            given_answers[link_id] = "not-applicable"
        elif len(given_answers) > 1:
            given_answers.pop(link_id, None)
    return given_answers


def _at(choices: list[Any], byte: int) -> Any:
    return choices[byte * len(choices) // 256]


def _takes_not_applicable(item: Item) -> bool:
    return NOT_APPLICABLE in item.options.values()


def results(instrument: Instrument, body: dict[str, Any], subject: Subject = SOMEBODY) -> tuple[ScoreResult, ...]:
    return score_response(instrument, body, now=NOW, allow_unverified=True, subject=subject).results


def values(instrument: Instrument, given_answers: dict[str, Any], subject: Subject = SOMEBODY) -> dict[str, Decimal]:
    """The scores that are numbers, unrounded."""
    found = results(instrument, answered(instrument.id, given_answers), subject)
    return {result.score.name: result.value for result in found if result.value is not None}


def everything(found: tuple[ScoreResult, ...]) -> Values:
    return {result.score.name: result.code or result.value for result in found}


@pytest.mark.parametrize("instrument_id", SCORED)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_score_lies_in_its_range(instrument_id: str, data: st.DataObject) -> None:
    instrument = CATALOGUE.instrument(instrument_id)
    found = values(instrument, data.draw(answers(instrument)), data.draw(SUBJECTS))
    for score in instrument.scores:
        if score.name in found:
            assert score.low is None or score.low <= found[score.name]
            assert score.high is None or found[score.name] <= score.high


@cache
def direction(instrument_id: str, link_id: str) -> dict[str, int]:
    """1 or -1 for each score that moves up or down when this item alone goes from its lowest to its highest answer.

    The others stay at their lowest, then, for scores that do not move there, at their highest. Levels of no laboratory
    value (an ESR of 0 has no logarithm) are passed over.
    """
    instrument = CATALOGUE.instrument(instrument_id)
    signs: dict[str, int] = {}
    for end in (-1, 0):
        base = {
            other: levels(instrument_id, other)[-1 if end == 0 else int(instrument.items[other].type == "quantity")]
            for other in questions(instrument)
        }
        own = levels(instrument_id, link_id)
        low = values(instrument, base | {link_id: own[int(instrument.items[link_id].type == "quantity")]})
        high = values(instrument, base | {link_id: own[-1]})
        for name in low.keys() & high.keys():
            signs[name] = signs.get(name) or (high[name] > low[name]) - (high[name] < low[name])
    return signs


@pytest.mark.parametrize("instrument_id", SCORED)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_worse_answer_never_gives_a_better_score(instrument_id: str, data: st.DataObject) -> None:
    """Each answered item in turn goes up through its answers, the others stay."""
    instrument = CATALOGUE.instrument(instrument_id)
    one, subject = data.draw(answers(instrument)), data.draw(SUBJECTS)
    places = data.draw(st.lists(st.integers(0, 255), min_size=3, max_size=6))
    for moved in one.keys() - {link_id for link_id, answer in one.items() if answer == "not-applicable"}:
        choices = levels(instrument_id, moved)
        rising = choices if len(choices) < 12 else [_at(choices, place) for place in sorted({0, *places, 255})]
        rising_values = [values(instrument, one | {moved: choice}, subject) for choice in rising]
        for before, after in pairwise(rising_values):
            _assert_moved_its_way(instrument_id, moved, before, after)


@pytest.mark.parametrize("instrument_id", SCORED)
def test_each_step_from_the_lowest_answers_to_the_highest(instrument_id: str) -> None:
    """One answer by one level at a time: passes through every sum, so through every cell of a table entered by one."""
    instrument = CATALOGUE.instrument(instrument_id)
    now = {link_id: levels(instrument_id, link_id)[0] for link_id in questions(instrument)}
    before = values(instrument, now)
    for moved in now:
        choices = levels(instrument_id, moved)
        for choice in choices if len(choices) < 12 else choices[:: len(choices) // 10]:
            now[moved] = choice
            after = values(instrument, now)
            _assert_moved_its_way(instrument_id, moved, before, after)
            before = after


def _assert_moved_its_way(
    instrument_id: str, moved: str, before: dict[str, Decimal], after: dict[str, Decimal]
) -> None:
    for name in before.keys() & after.keys():
        if (instrument_id, name) not in NOT_MONOTONE:
            sign = direction(instrument_id, moved).get(name, 0)
            change = (after[name] > before[name]) - (after[name] < before[name])
            assert change in (0, sign), (name, moved, before[name], after[name])


@pytest.mark.parametrize("instrument_id", SCORED)
def test_each_item_of_a_score_moves_some_score(instrument_id: str) -> None:
    """Otherwise the property above would hold of an item that is never read."""
    instrument = CATALOGUE.instrument(instrument_id)
    used = {link_id for score in instrument.scores if score.low is not None for link_id in score.items}
    assert used <= set(questions(instrument))
    for link_id in used:
        assert any(direction(instrument_id, link_id).values()), link_id


@pytest.mark.parametrize("instrument_id", SCORED)
def test_the_answers_of_an_instrument_point_one_way(instrument_id: str) -> None:
    """Each item moves the scores to better or to worse as the others do, but for the items published as reversed.

    The direction that the property above holds an item to is found from the rule; here a wrong sign shows.
    """
    instrument = CATALOGUE.instrument(instrument_id)
    better = {score.name: 1 if score.direction == "higher-better" else -1 for score in instrument.scores}
    ways = {
        link_id: {sign * better[name] for name, sign in direction(instrument_id, link_id).items() if sign}
        for link_id in questions(instrument)
    }
    against = AGAINST_THE_OTHERS.get(instrument_id, set())
    with_them = {way for link_id, found in ways.items() if link_id not in against for way in found}
    assert len(with_them) == 1
    for link_id in against:
        assert ways[link_id] == {-way for way in with_them}


def test_what_is_not_monotone_is_so_still() -> None:
    """Otherwise an exception would hide an error: men of 18 to 34, states 11131 and 11141 of the published table."""
    instrument = CATALOGUE.instrument("eq-5d-5l")
    state = dict.fromkeys(["mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression"], "1")
    name, subject = "index_uk_dsu_mapping", Subject("male", (20, 20))
    assert set(NOT_MONOTONE) == {("eq-5d-5l", name)}
    assert values(instrument, state | {"pain_discomfort": "3"}, subject)[name] == Decimal("0.812360")
    assert values(instrument, state | {"pain_discomfort": "4"}, subject)[name] == Decimal("0.873379")


def _everywhere(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        yield item
        yield from _everywhere(item.get("item", []))


def _dressed_up(body: dict[str, Any]) -> dict[str, Any]:
    """The same answers in another order, with displays, texts, ids and extensions that no rule knows."""
    noise = [{"url": "https://example.org/unrelated", "valueInteger": 4}]
    dressed = copy.deepcopy(body)
    dressed["extension"] = noise
    dressed["item"].reverse()
    for number, item in enumerate(_everywhere(dressed["item"])):
        item.get("item", []).reverse()
        item |= {"id": f"i{number}", "text": f"score 99 {number}", "extension": noise}
        for answer in item.get("answer", []):
            answer["extension"] = noise
            if "valueCoding" in answer:
                answer["valueCoding"] |= {"display": "level 0 (least)", "userSelected": True, "extension": noise}
    return dressed


@pytest.mark.parametrize("instrument_id", SCORED)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_order_displays_and_extensions_do_not_count(instrument_id: str, data: st.DataObject) -> None:
    instrument, subject = CATALOGUE.instrument(instrument_id), data.draw(SUBJECTS)
    body = answered(instrument_id, data.draw(answers(instrument)))
    untouched = copy.deepcopy(body)
    plain = results(instrument, body, subject)
    assert everything(results(instrument, _dressed_up(body), subject)) == everything(plain)
    assert body == untouched
    assert results(instrument, body, subject) == plain


@pytest.mark.parametrize("instrument_id", MEASURED)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_an_amount_in_another_unit_counts_the_same(instrument_id: str, data: st.DataObject) -> None:
    """UCUM: a CRP of 1 mg/dL is one of 10 mg/L."""
    instrument = CATALOGUE.instrument(instrument_id)
    one = data.draw(answers(instrument))
    other = dict(one)
    for link_id, answer in one.items():
        if instrument.items[link_id].type == "quantity":
            unit, factor = data.draw(st.sampled_from(sorted(OTHER_UNITS[answer["unit"]].items())))
            other[link_id] = {"value": answer["value"] * factor, "unit": unit}
    assert values(instrument, other) == values(instrument, one)


def test_the_unit_is_read_at_all() -> None:
    """1 mg/dL and 1 mg/L differ: otherwise the property above would hold of a server that reads the number alone."""
    instrument = CATALOGUE.instrument("das28-crp")
    counts = {"tjc28": 4, "sjc28": 4, "patient_global_mm": 50}
    decilitre, litre, tens = (
        values(instrument, counts | {"crp_mg_l": {"value": value, "unit": unit}})["das28_crp"]
        for value, unit in ((1, "mg/dL"), (1, "mg/L"), (10, "mg/L"))
    )
    assert decilitre == tens > litre
