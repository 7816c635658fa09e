"""What the notes of a score say: everything that went into it, in sentences that are true of its rule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.explanation import explanation
from fhir_server.instruments.scoring import ScoreResult, score_response
from tests.instruments.responses import BASE, answered

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def told(instrument_id: str, answers: dict[str, Any], score: str) -> list[str]:
    instrument = shipped(BASE).instrument(instrument_id)
    scoring = score_response(instrument, answered(instrument_id, answers), now=NOW, allow_unverified=True)
    assert not scoring.refused
    (result,) = (one for one in scoring.results if one.score.name == score)
    assert isinstance(result, ScoreResult)
    return explanation(instrument, result)


RAPID3 = {f"fn_{letter}": 2 for letter in "abcdefghij"} | {"pain_0_10": 5, "global_0_10": 4}
START_BACK = {f"q{number}": 1 for number in range(1, 9)} | {"q9": 4}
EQ_5D = dict.fromkeys(("mobility", "self_care", "usual_activities", "pain_discomfort", "anxiety_depression"), 3)
HAQ = {
    f"{name}_{number}": 0
    for name, count in {
        "dressing": 2, "arising": 2, "eating": 3, "walking": 2, "hygiene": 3, "reach": 2, "grip": 3, "activities": 3
    }.items()
    for number in range(1, count + 1)
}  # fmt: skip


def test_a_sum_names_the_scores_in_it() -> None:
    """RAPID3 is function (20 / 3, rounded to 6.7) + pain + global."""
    text = told("rapid3", RAPID3, "rapid3")[1]
    assert text == "Sum of the items and scores: pain_0_10 = 5, global_0_10 = 4, score.function_0_10 = 6.7."


def test_a_mean_of_scores_names_them() -> None:
    text = told("spadi", {f"q{number}": 5 for number in range(1, 14)}, "total")[1]
    assert text == "Mean of the scores: score.pain = 50, score.disability = 50."


def test_a_stratum_says_by_which_conditions() -> None:
    """STarT Back, q9 = 4 counts 1: total 9, subscale 5."""
    text = told("start-back", START_BACK, "risk")[1]
    assert "low if score.total <= 3; medium if score.psych_subscale <= 3; else high" in text
    assert text.endswith("score.total = 9, score.psych_subscale = 5.")


def test_a_table_names_the_row() -> None:
    text = told("koos-jr", {f"q{number}": 2 for number in range(1, 8)}, "interval")[1]
    assert text.endswith("score.raw = 14.")


def test_a_profile_is_no_condition() -> None:
    assert told("eq-5d-5l", EQ_5D, "profile")[1].startswith("The answers side by side: mobility = 3")


def test_points_of_a_score_are_told() -> None:
    """Devlin 2018: level 3 of mobility takes 0.076 away."""
    text = told("eq-5d-5l", EQ_5D, "index_england_devlin2018")[1]
    assert text.startswith("Sum of the items + 1: mobility = 3, counted as -0.076, self_care = 3, counted as -0.08")


def test_aids_that_raise_a_category_are_told() -> None:
    texts = told("haq-di", {**HAQ, "aid_walking": 1, "help_grip": 1, "aid_reach": 0}, "di")
    assert "HAQ Disability Index: 0.500 of 0 to 3, higher is worse." in texts
    assert "Aids or help used: aid_walking, help_grip." in texts
    assert not any("Aids or help used" in text for text in told("haq-di", HAQ, "di"))


def test_a_source_ends_before_the_next_sentence() -> None:
    texts = told("spadi", {f"q{number}": 5 for number in range(1, 14)}, "total")
    assert any("says the same. The scales" in text for text in texts)
