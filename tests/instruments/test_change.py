"""Change since the baseline: worked out by hand from the rules of docs/instruments.md#change."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.instruments.change import Change, Measurement, NoChange, changes, thresholds_of
from tests.instruments.responses import QUESTIONNAIRES

OKS: dict[str, Any] = json.loads((QUESTIONNAIRES / "oks" / "instrument.json").read_text())
PLAIN: dict[str, Any] = {
    "scope": "individual",
    "population": "p",
    "method": "m",
    "source": "s",
    "evidence": "secondary",
}


def measured(
    day: int,
    value: float | str | None,
    *,
    side: str | None = "left",
    status: str = "final",
    method: str = "rules 1",
    timepoint: str | None = None,
) -> Measurement:
    return Measurement(
        start=day,
        value=None if value is None else Decimal(str(value)),
        status=status,
        side=side,
        method=method,
        timepoint=timepoint,
    )


def told(*measurements: Measurement, direction: Any = "higher-better") -> list[tuple[int, Decimal] | str]:
    """(baseline, improvement) or the code of the reason."""
    return [
        one.code if isinstance(one, NoChange) else (one.baseline, one.improvement)
        for one in changes(measurements, direction)
    ]


def test_the_earliest_final_value_is_the_baseline_where_none_is_marked() -> None:
    assert told(measured(1, 10, status="preliminary"), measured(2, 20), measured(3, 33)) == [
        "not-final",
        "baseline",
        (1, Decimal(13)),
    ]


@pytest.mark.parametrize(("direction", "improvement"), [("higher-better", -5), ("higher-worse", 5)])
def test_better_is_positive(direction: str, improvement: int) -> None:
    assert told(measured(1, 20), measured(2, 15), direction=direction)[1] == (0, Decimal(improvement))


@pytest.mark.parametrize("mark", ["baseline", "pre-op"])
def test_the_marked_value_is_the_baseline(mark: str) -> None:
    assert told(measured(1, 10), measured(2, 12, timepoint=mark), measured(3, 30, timepoint="m6")) == [
        "before-baseline",
        "baseline",
        (1, Decimal(18)),
    ]


def test_each_course_has_its_own_baseline() -> None:
    """A first visit, an operation, and another operation years later."""
    found = told(
        measured(1, 20, timepoint="baseline"),
        measured(5, 15, timepoint="pre-op"),
        measured(9, 40, timepoint="m12"),
        measured(50, 22, timepoint="pre-op"),
        measured(60, 30, timepoint="m6"),
    )
    assert found == ["baseline", "baseline", (1, Decimal(25)), "baseline", (3, Decimal(8))]


def test_the_order_in_which_they_are_given_does_not_matter() -> None:
    assert told(measured(3, 33), measured(1, 20), measured(2, 25)) == [(1, Decimal(13)), "baseline", (1, Decimal(5))]


def test_each_side_has_its_own_baseline() -> None:
    found = told(measured(1, 10), measured(2, 20, side="right"), measured(3, 15), measured(4, 22, side="right"))
    assert found == ["baseline", "baseline", (0, Decimal(5)), (1, Decimal(2))]


@pytest.mark.parametrize(
    "sides", [("left", None), ("left", "bilateral"), (None, "bilateral"), ("left", "right", None), ("left", "upper")]
)
def test_sides_that_may_or_may_not_be_the_same_are_refused(sides: tuple[str | None, ...]) -> None:
    assert set(told(*(measured(day, 10 + day, side=side) for day, side in enumerate(sides)))) == {"ambiguous-side"}


@pytest.mark.parametrize("side", [None, "bilateral"])
def test_sides_that_are_all_the_same_are_compared(side: str | None) -> None:
    assert told(measured(1, 10, side=side), measured(2, 15, side=side)) == ["baseline", (0, Decimal(5))]


def test_a_value_entered_in_error_counts_for_nothing() -> None:
    wrong = measured(1, 5, side=None, status="entered-in-error", timepoint="baseline")
    assert told(wrong, measured(2, 10), measured(3, 15)) == ["not-final", "baseline", (1, Decimal(5))]


@pytest.mark.parametrize("status", ["registered", "preliminary", "cancelled", "unknown"])
def test_what_is_not_final_has_no_change(status: str) -> None:
    assert told(measured(1, 10), measured(2, 15, status=status)) == ["baseline", "not-final"]


@pytest.mark.parametrize("status", ["amended", "corrected"])
def test_what_was_put_right_is_final(status: str) -> None:
    assert told(measured(1, 10), measured(2, 15, status=status)) == ["baseline", (0, Decimal(5))]


def test_what_is_no_number_has_no_change() -> None:
    assert told(measured(1, 10), measured(2, None), measured(3, 12)) == ["baseline", "no-number", (0, Decimal(2))]


@pytest.mark.parametrize(("value", "status"), [(None, "final"), (10, "preliminary")])
def test_a_marked_baseline_without_a_final_number_is_not_replaced_by_another(value: int | None, status: str) -> None:
    found = told(measured(1, value, status=status, timepoint="baseline"), measured(2, 15), measured(3, 20))
    assert found[1:] == ["unusable-baseline", "unusable-baseline"]


def test_other_rules_are_not_compared() -> None:
    assert told(measured(1, 10), measured(2, 15, method="rules 2"), measured(3, 16)) == [
        "baseline",
        "other-rules",
        (0, Decimal(6)),
    ]


@pytest.mark.parametrize("mark", [None, "baseline"])
def test_two_baselines_of_one_time_are_refused(mark: str | None) -> None:
    found = told(measured(1, 10, timepoint=mark), measured(1, 12, timepoint=mark), measured(2, 20))
    assert found == ["ambiguous-baseline"] * 3


def test_the_same_value_twice_at_one_time_is_no_conflict() -> None:
    assert told(measured(1, 10), measured(1, "10.0"), measured(2, 20))[2] == (0, Decimal(10))


def test_exact_values_are_subtracted_unrounded() -> None:
    assert told(measured(1, "33.818182"), measured(2, "40.5"))[1] == (0, Decimal("6.681818"))


def crossings(improvement: int, entries: list[dict[str, Any]], score: str = "total") -> list[tuple[str, bool]]:
    thresholds = thresholds_of({"mic": entries}, score, allow_unverified=False)
    change = changes([measured(1, 20), measured(2, 20 + improvement)], "higher-better", thresholds)[1]
    assert isinstance(change, Change)
    return [(threshold.kind, met) for threshold, met in change.thresholds]


@pytest.mark.parametrize(
    ("improvement", "mic", "mdc"),
    # Beard 2015, as questionnaires/oks/instrument.json has it: MIC 7 and MDC90 4 for individuals
    [(7, True, True), (6, False, True), (4, False, True), (3, False, False), (-4, False, True), (-7, False, True)],
)
def test_thresholds_of_the_oxford_knee_score(improvement: int, mic: bool, mdc: bool) -> None:
    """MIC by getting better, MDC either way; those of groups say nothing of a person."""
    assert crossings(improvement, OKS["mic"]) == [("MIC", mic), ("MDC90", mdc)]


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "MIC", "value": 3, "scope": "group"},
        {"kind": "MIC", "value": 3, "scope": "between-group"},
        {"kind": "MIC", "value": "30 %"},
        {"kind": "PASS", "value": 3},
        {"kind": "MIC", "value": 3, "score": "other"},
        {"kind": "MIC", "value": 3, "evidence": "memory"},
        {"kind": "MIC", "value": 3, "evidence": "gap"},
    ],
)
def test_thresholds_that_do_not_apply_are_left_out(entry: dict[str, Any]) -> None:
    assert crossings(5, [{**PLAIN, **entry}]) == []


@pytest.mark.parametrize(
    ("baseline", "values"),
    # Stratford 1998, as questionnaires/rmdq/instrument.json has it: 2, 4, 5, 8, 8 for 0-8, 5-12, 9-16, 13-20, 17-24
    [(4, [2]), (8, [2, 4]), (10, [4, 5]), (13, [5, 8]), (17, [8, 8]), (24, [8])],
)
def test_thresholds_for_some_baselines_are_given_for_those(baseline: int, values: list[int]) -> None:
    metadata = json.loads((QUESTIONNAIRES / "rmdq" / "instrument.json").read_text(), parse_float=Decimal)
    thresholds = thresholds_of(metadata, "total", allow_unverified=False)
    change = changes([measured(1, baseline), measured(2, 1)], "higher-worse", thresholds)[1]
    assert isinstance(change, Change)
    assert [int(one.value) for one, _ in change.thresholds if one.kind == "MIC"] == values


@pytest.mark.parametrize("path", sorted(QUESTIONNAIRES.glob("*/instrument.json")), ids=lambda path: path.parent.name)
def test_every_threshold_that_is_shipped_for_a_person_is_used(path: Path) -> None:
    """A kind that is not known would be left out without a word."""
    metadata = json.loads(path.read_text(), parse_float=Decimal)
    personal = [entry for entry in metadata["mic"] if entry["scope"] == "individual" and entry["evidence"] != "gap"]
    for entry in personal:
        thresholds = thresholds_of({"mic": [entry]}, entry.get("score", "any"), allow_unverified=True)
        assert [(one.kind, one.value) for one in thresholds] == [(entry["kind"], entry["value"])]


def test_a_threshold_of_one_score_is_that_scores() -> None:
    entry = {**PLAIN, "kind": "MIC", "value": Decimal("4.5"), "score": "total"}
    assert crossings(5, [entry]) == [("MIC", True)]
    assert crossings(5, [entry], "pain") == []


def test_thresholds_from_memory_are_a_setting() -> None:
    entry = {**PLAIN, "kind": "MIC", "value": 3, "evidence": "memory"}
    assert len(thresholds_of({"mic": [entry]}, "total", allow_unverified=True)) == 1
