"""Levels, missing answers and every rule of refusal. The scorer is pure: no store, no clock."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.loading import load_instrument
from fhir_server.instruments.scoring import Scoring, round_half_up, score_response
from tests.instruments.responses import BASE, QUESTIONNAIRES, item, response

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CATALOGUE = shipped(BASE)
BY_ID = {instrument.id: instrument for instrument in CATALOGUE.instruments}


def scored(instrument: str, body: dict[str, Any], *, allow_unverified: bool = False) -> Scoring:
    return score_response(BY_ID[instrument], body, now=NOW, allow_unverified=allow_unverified)


def refused(body: dict[str, Any], instrument: str = "oks") -> list[tuple[str, str | None]]:
    scoring = scored(instrument, body)
    assert scoring.results == ()
    return [(issue.code, issue.expression) for issue in scoring.refused]


@pytest.mark.parametrize(("instrument", "items", "highest"), [("oks", 12, 4), ("phq-9", 9, 3)])
def test_each_level_of_each_item_counts_its_own_number(instrument: str, items: int, highest: int) -> None:
    """With all other items at 0 the total is the level itself: any changed weight or swapped option shows."""
    for position in range(items):
        for level in range(highest + 1):
            answers: list[int | None] = [0] * items
            answers[position] = level
            assert scored(instrument, response(instrument, answers)).results[0].value == level


def test_display_is_rounded_half_up_apart_from_the_value() -> None:
    scoring = scored("oks", response("oks", [4, 4, 4, 3, 2, 1, None, 4, 4, 4, 4, 0]), allow_unverified=True)
    assert (scoring.results[0].value, scoring.results[0].display) == (Decimal("37.090909"), Decimal("37.1"))


@pytest.mark.parametrize(
    ("value", "decimals", "rounded"),
    [("0.5", 0, "1"), ("1.5", 0, "2"), ("2.5", 0, "3"), ("-2.5", 0, "-3"), ("0.25", 1, "0.3"), ("0.35", 1, "0.4")],
)
def test_halves_go_away_from_zero(value: str, decimals: int, rounded: str) -> None:
    assert str(round_half_up(Fraction(value), decimals)) == rounded


def test_another_version_is_refused() -> None:
    body = response("oks", [4] * 12, questionnaire=f"{BASE}/Questionnaire/oks|12-60")
    assert refused(body) == [("business-rule", "QuestionnaireResponse.questionnaire")]


def test_no_version_is_refused() -> None:
    body = response("oks", [4] * 12, questionnaire=f"{BASE}/Questionnaire/oks")
    assert refused(body) == [("business-rule", "QuestionnaireResponse.questionnaire")]


@pytest.mark.parametrize("status", ["entered-in-error", "no-such-status", None])
def test_a_status_that_is_not_scored(status: str | None) -> None:
    assert refused(response("oks", [4] * 12, status=status)) == [("business-rule", "QuestionnaireResponse.status")]


@pytest.mark.parametrize("subject", [None, {}, {"display": "somebody"}, "Patient/p-1"])
def test_no_subject(subject: Any) -> None:
    body = response("oks", [4] * 12, subject=subject)
    assert refused(body) == [("required", "QuestionnaireResponse.subject.reference")]


@pytest.mark.parametrize("reference", ["Group/g-1", "#p", "urn:uuid:1b5b3b0e-0e0c-4d0a-9a44-3c0d5a3e8f10", "Patient"])
def test_a_subject_that_is_no_patient(reference: str) -> None:
    body = response("oks", [4] * 12, subject={"reference": reference})
    assert refused(body) == [("business-rule", "QuestionnaireResponse.subject.reference")]


def test_an_absolute_subject() -> None:
    body = response("oks", [4] * 12, subject={"reference": "https://fhir.example.org/fhir/Patient/p-1"})
    assert scored("oks", body).refused == ()


@pytest.mark.parametrize(
    ("authored", "code"),
    [
        (None, "required"),
        ("yesterday", "value"),
        ("2026-02-30", "value"),
        ("2026-03-01T09:30:00", "value"),
        (20260301, "value"),
        ("2026-06-01T12:06:00Z", "business-rule"),
        ("2026-06-02", "business-rule"),
        ("2027", "business-rule"),
    ],
)
def test_when_it_was_answered(authored: Any, code: str) -> None:
    assert refused(response("oks", [4] * 12, authored=authored)) == [(code, "QuestionnaireResponse.authored")]


@pytest.mark.parametrize(
    "authored", ["2026", "2026-06", "2026-06-01", "2026-06-01T12:04:00Z", "2026-06-01T13:00:00.5+01:00"]
)
def test_dates_that_are_not_in_the_future(authored: str) -> None:
    assert scored("oks", response("oks", [4] * 12, authored=authored)).refused == ()


@pytest.mark.parametrize(
    ("answer", "code", "where"),
    [
        ({"valueCoding": {"system": f"{BASE}/CodeSystem/oks-answer", "code": "5"}}, "code-invalid", "answer[0].value"),
        (
            {"valueCoding": {"system": f"{BASE}/CodeSystem/phq-9-answer", "code": "1"}},
            "code-invalid",
            "answer[0].value",
        ),
        ({"valueCoding": {"code": "1"}}, "code-invalid", "answer[0].value"),
        ({"valueCoding": {"system": 7, "code": "1"}}, "code-invalid", "answer[0].value"),
        ({"valueCoding": {"display": "level 4 (best)"}}, "required", "answer[0].value.code"),
        ({"valueInteger": 4}, "value", "answer[0].value"),
        ({"valueString": "4"}, "value", "answer[0].value"),
        ({"valueInteger": 4, "valueString": "4"}, "structure", "answer[0]"),
    ],
)
def test_an_answer_that_is_none_of_the_options(answer: dict[str, Any], code: str, where: str) -> None:
    body = response("oks", [4] * 12)
    body["item"][2]["answer"] = [answer]
    assert refused(body) == [(code, f"QuestionnaireResponse.item[2].{where}")]


def test_display_is_never_read() -> None:
    body = response("oks", [0] * 12)
    for element in body["item"]:
        element["answer"][0]["valueCoding"]["display"] = "level 4 (best)"
    assert scored("oks", body).results[0].value == 0


def test_position_is_never_read() -> None:
    body = response("phq-9", [3, 0, 0, 0, 0, 0, 0, 0, 0])
    body["item"].reverse()
    scoring = scored("phq-9", body)
    assert (scoring.results[0].value, scoring.alerts) == (3, ())


def test_an_item_sent_twice() -> None:
    body = response("oks", [4] * 12)
    body["item"].append(item("oks", "q3", 4))
    assert refused(body) == [("duplicate", "QuestionnaireResponse.item[12]")]


def test_two_answers_to_one_item() -> None:
    body = response("oks", [4] * 12)
    body["item"][2]["answer"] *= 2
    assert refused(body) == [("duplicate", "QuestionnaireResponse.item[2].answer")]


def test_an_item_the_questionnaire_does_not_have() -> None:
    body = response("oks", [4] * 12)
    body["item"].append(item("oks", "q13", 4))
    assert refused(body) == [("not-found", "QuestionnaireResponse.item[12].linkId")]


def test_an_answer_hidden_in_an_answer_is_found() -> None:
    body = response("oks", [4] * 12)
    body["item"][0]["answer"][0]["item"] = [item("oks", "q2", 0)]
    assert refused(body) == [
        ("structure", "QuestionnaireResponse.item[0].answer[0].item[0]"),
        ("duplicate", "QuestionnaireResponse.item[1]"),
    ]


def test_an_item_in_a_question_of_a_flat_questionnaire() -> None:
    """R4 questionnaireresponse.html, item: answers are grouped as the questionnaire groups its questions."""
    body = response("oks", [4] * 12)
    body["item"][0]["item"] = [body["item"].pop(1)]
    assert refused(body) == [("structure", "QuestionnaireResponse.item[0].item[0]")]


def test_an_item_in_an_answer_of_a_flat_questionnaire() -> None:
    body = response("oks", [4] * 12)
    body["item"][0]["answer"][0]["item"] = [body["item"].pop(1)]
    assert refused(body) == [("structure", "QuestionnaireResponse.item[0].answer[0].item[0]")]


def test_an_item_in_a_group_the_questionnaire_does_not_have() -> None:
    body = response("oks", [4] * 12)
    body["item"] = [{"linkId": "all", "item": body["item"]}]
    assert refused(body)[0] == ("not-found", "QuestionnaireResponse.item[0].linkId")
    assert refused(body)[1:] == [("structure", f"QuestionnaireResponse.item[0].item[{n}]") for n in range(12)]


def test_item_9_warns_where_it_does_not_belong() -> None:
    body = response("phq-9", [0] * 8 + [1])
    body["item"][0]["item"] = [body["item"].pop()]
    scoring = scored("phq-9", body)
    assert [str(raised.value) for raised in scoring.alerts] == ["1"]
    assert [issue.code for issue in scoring.refused] == ["structure"]


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Instrument:
    """The Oxford Knee Score with q2 to q12 in a group, and q3 asked below q2."""
    folder = tmp_path_factory.mktemp("nested") / "oks"
    shutil.copytree(QUESTIONNAIRES / "oks", folder)
    questionnaire = json.loads((folder / "questionnaire.json").read_text())
    first, second, third, *others = questionnaire["item"]
    group = {"linkId": "g", "type": "group", "item": [{**second, "item": [third]}, *others]}
    questionnaire["item"] = [first, group]
    (folder / "questionnaire.json").write_text(json.dumps(questionnaire))
    return load_instrument(folder, BASE)


def grouped(below: str) -> dict[str, Any]:
    """Answers to `nested`; `below` says where q3 stands below q2: in its answer or in the item."""
    body = response("oks", [4] * 12)
    first, second, third, *others = body["item"]
    (second["answer"][0] if below == "answer" else second)["item"] = [third]
    body["item"] = [first, {"linkId": "g", "item": [second, *others]}]
    return body


def test_items_where_the_questionnaire_nests_them(nested: Instrument) -> None:
    """R4 questionnaireresponse.html: below a group in item.item, below a question in item.answer.item."""
    scoring = score_response(nested, grouped("answer"), now=NOW)
    assert scoring.refused == ()
    assert scoring.results[0].value == 48


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (grouped("item"), ["item[1].item[0].item[0]"]),
        (response("oks", [4] * 12), [f"item[{number}]" for number in range(1, 12)]),
    ],
    ids=["below the question, not its answer", "flat"],
)
def test_items_elsewhere_than_the_questionnaire_nests_them(
    nested: Instrument, body: dict[str, Any], where: list[str]
) -> None:
    scoring = score_response(nested, body, now=NOW)
    assert scoring.results == ()
    assert [(issue.code, issue.expression) for issue in scoring.refused] == [
        ("structure", f"QuestionnaireResponse.{place}") for place in where
    ]


@pytest.mark.parametrize("items", ["q1", [None], [[]], {"linkId": "q1"}])
def test_items_that_are_no_items(items: Any) -> None:
    assert refused(response("oks", [4] * 12, item=items))[0][0] == "structure"


def test_every_fault_is_named_at_once() -> None:
    body = response("oks", [9, 7, *[4] * 10], status="entered-in-error")
    assert sorted(code for code, _ in refused(body)) == ["business-rule", "code-invalid", "code-invalid"]


def test_in_progress_is_preliminary_and_amended_is_amended() -> None:
    assert scored("oks", response("oks", [4] * 12, status="in-progress")).results[0].status == "preliminary"
    assert scored("oks", response("oks", [4] * 12, status="amended")).results[0].status == "amended"


@pytest.mark.parametrize("allow_unverified", [False, True])
def test_more_missing_than_any_rule_allows_is_not_blamed_on_the_setting(allow_unverified: bool) -> None:
    """The limit of the Oxford rule is two (questionnaires/oks/scoring.json); no setting lifts it."""
    scoring = scored("oks", response("oks", [None] * 3 + [4] * 9), allow_unverified=allow_unverified)
    assert scoring.results == ()
    for issue in scoring.refused:
        assert "at most 2 may be missing and 3 are" in issue.diagnostics
        assert "FHIR_SCORE_UNVERIFIED" not in issue.diagnostics


def test_neutral_labels_are_warned_of() -> None:
    (warning,) = scored("oks", response("oks", [4] * 12)).warnings
    assert (warning.severity, warning.expression) == ("warning", "QuestionnaireResponse.questionnaire")


def test_item_9_warns_whatever_else_is_wrong() -> None:
    body = response("phq-9", [None, 9, 0, 0, 0, 0, 0, 0, 1], subject=None, authored=None)
    scoring = scored("phq-9", body)
    assert [str(raised.value) for raised in scoring.alerts] == ["1"]
    assert scoring.warnings[0].severity == "warning"
    assert scoring.warnings[0].diagnostics.startswith("PHQ-9 item 9")


def test_item_9_answered_twice_warns_of_the_higher() -> None:
    body = response("phq-9", [0] * 9)
    body["item"].append(item("phq-9", "q9", 2))
    assert [str(raised.value) for raised in scored("phq-9", body).alerts] == ["2"]


def test_an_unreadable_item_9_is_pointed_out() -> None:
    body = response("phq-9", [0, 0, 0, 0, 0, 0, 0, 0, 8])
    scoring = scored("phq-9", body)
    assert scoring.alerts == ()
    assert [warning.code for warning in scoring.warnings] == ["incomplete"]


def test_a_response_entered_in_error_alerts_nobody() -> None:
    assert scored("phq-9", response("phq-9", [0] * 8 + [3], status="entered-in-error")).alerts == ()


@given(
    answers=st.lists(st.integers(0, 4), min_size=12, max_size=12), wrong=st.integers(0, 11), code=st.text(max_size=3)
)
def test_any_code_out_of_range_is_refused(answers: list[int], wrong: int, code: str) -> None:
    if code in {"0", "1", "2", "3", "4"}:
        return
    body = response("oks", list(answers))
    body["item"][wrong]["answer"][0]["valueCoding"]["code"] = code
    assert refused(body) == [("code-invalid", f"QuestionnaireResponse.item[{wrong}].answer[0].value")]


@given(answers=st.lists(st.one_of(st.none(), st.integers(0, 4)), min_size=12, max_size=12))
def test_a_score_is_in_range_and_missing_is_never_zero(answers: list[int | None]) -> None:
    scoring = scored("oks", response("oks", answers), allow_unverified=True)
    given_answers = [answer for answer in answers if answer is not None]
    if answers.count(None) > 2:
        assert scoring.results == ()
    else:
        (total,) = scoring.results
        assert 12 * min(given_answers) <= total.value <= 12 * max(given_answers)


@given(answers=st.lists(st.integers(0, 3), min_size=9, max_size=9), better=st.integers(0, 8))
def test_one_level_more_is_one_point_more(answers: list[int], better: int) -> None:
    higher = [min(3, answer + 1) if index == better else answer for index, answer in enumerate(answers)]
    before = scored("phq-9", response("phq-9", list(answers))).results[0].value
    after = scored("phq-9", response("phq-9", list(higher))).results[0].value
    assert after - before == higher[better] - answers[better]
