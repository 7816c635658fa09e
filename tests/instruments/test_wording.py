"""Imported wordings: the same items, codes and rules with other words, or refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.errors import BusinessRule
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.scoring import score_response
from fhir_server.instruments.wording import WordingError, template, worded, worded_questionnaire
from fhir_server.model.json import encode
from fhir_server.validation import validate
from tests.instruments.golden import DEFINED
from tests.instruments.responses import BASE, response

Json = dict[str, Any]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LICENCE = "Licence 0001 of a rights holder to a hospital"


def filled(instrument_id: str, version: str = "en-gb-2007") -> Json:
    """A wording of invented words."""
    wording = template(shipped(BASE).instrument(instrument_id))
    for link_id, item in wording["items"].items():
        item["text"] = f"Words of {link_id}"
        if "options" in item:
            item["options"] = {code: f"Words of answer {code}" for code in item["options"]}
    return {**wording, "title": "As published", "language": "en-GB", "version": version}


def imported(instrument_id: str, **how: Any) -> Json:
    instrument = shipped(BASE).instrument(instrument_id)
    return worded_questionnaire(instrument, filled(instrument_id, **how), LICENCE, "2026-05-01")


def test_the_questionnaire_says_what_it_is() -> None:
    made = imported("oks")
    validate(copy.deepcopy(made))
    assert (made["url"], made["version"], made["id"]) == (
        f"{BASE}/Questionnaire/oks",
        "1.0.0-en-gb-2007",
        "oks-1.0.0-en-gb-2007",
    )
    assert (made["experimental"], made["language"], made["title"]) == (False, "en-GB", "As published")
    assert made["copyright"].startswith(LICENCE)
    assert "Oxford University Innovation" in made["copyright"]
    assert made["derivedFrom"] == [f"{BASE}/Questionnaire/oks|1.0.0-neutral"]
    assert made["item"][0]["text"] == "Words of q1"
    first = made["item"][0]["answerOption"][0]["valueCoding"]
    assert (first["display"], first["code"]) == (f"Words of answer {first['code']}", first["code"])
    assert "level" not in encode(made).decode()


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_every_instrument_can_be_worded(instrument_id: str) -> None:
    made = imported(instrument_id)
    validate(copy.deepcopy(made))
    instrument = worded(shipped(BASE).instrument(instrument_id), made)
    assert instrument.canonical == f"{BASE}/Questionnaire/{instrument_id}|1.0.0-en-gb-2007"
    assert not instrument.experimental


def test_a_score_says_on_which_wording_it_was_answered() -> None:
    neutral = shipped(BASE).instrument("oks")
    instrument = worded(neutral, imported("oks"))
    body = response("oks", [4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4, 3], questionnaire=instrument.canonical)
    scoring = score_response(instrument, body, now=NOW)
    assert [result.value for result in scoring.results] == [27]  # by hand: the sum of the answers
    assert scoring.warnings == ()
    assert instrument.checksum != neutral.checksum
    refused = score_response(neutral, body, now=NOW)
    assert [issue.expression for issue in refused.refused] == ["QuestionnaireResponse.questionnaire"]


def _without(*path: str) -> Callable[[Json], None]:
    def change(wording: Json) -> None:
        for name in path[:-1]:
            wording = wording[name]
        del wording[path[-1]]

    return change


def _with(value: Any, *path: str) -> Callable[[Json], None]:
    def change(wording: Json) -> None:
        for name in path[:-1]:
            wording = wording[name]
        wording[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (_without("items", "q3"), "$.items.q3"),
        (_without("items", "q3", "options", "2"), "$.items.q3.options.2"),
        (_without("items", "q3", "options"), "$.items.q3.options.0"),
        (_with({"text": "x"}, "items", "q13"), "$.items.q13"),
        # The form of 12 to 60 has answers 1 to 5: its 5 is unknown here.
        (_with("x", "items", "q3", "options", "5"), "$.items.q3.options.5"),
        (_with(" ", "items", "q3", "text"), "$.items.q3.text"),
        (_with("neutral", "version"), "$.version"),
        (_with("uk-neutral", "version"), "$.version"),
        (_with("Not a label", "version"), "$.version"),
        (_with("", "language"), "$.language"),
        (_without("title"), "$: 'title'"),
        (_with(1, "scores"), "$: Additional properties"),
    ],
)
def test_what_lacks_or_is_unknown_is_named(change: Callable[[Json], None], path: str) -> None:
    wording = filled("oks")
    change(wording)
    with pytest.raises(WordingError) as refused:
        worded_questionnaire(shipped(BASE).instrument("oks"), wording, LICENCE, "2026-05-01")
    assert any(complaint.startswith(path) for complaint in refused.value.complaints), refused.value.complaints


def test_our_own_labels_are_no_wording() -> None:
    instrument = shipped(BASE).instrument("oks")
    wording = filled("oks")
    for item in instrument.questionnaire["item"][:12]:
        displays = {option["valueCoding"]["code"]: option["valueCoding"]["display"] for option in item["answerOption"]}
        wording["items"][item["linkId"]] = {"text": item["text"], "options": displays}
    with pytest.raises(WordingError, match="neutral labels"):
        worded_questionnaire(instrument, wording, LICENCE, "2026-05-01")


def test_a_licence_is_needed() -> None:
    with pytest.raises(WordingError, match="licence"):
        worded_questionnaire(shipped(BASE).instrument("oks"), filled("oks"), "  ", "2026-05-01")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("item", 0, "answerOption", 0, "valueCoding", "code"), "5", "item q1 is not"),
        (("item", 0, "answerOption", 0, "valueCoding", "extension", 0, "valueDecimal"), 1, "item q1 is not"),
        (("item", 2, "linkId"), "q33", "item q3 is not"),
        (("item", 2, "type"), "open-choice", "item q3 is not"),
        (("experimental",), True, "no imported wording"),
        (("meta",), {}, "no imported wording"),
        (("url",), f"{BASE}/Questionnaire/ohs", "its url"),
    ],
)
def test_another_form_has_no_rules_here(path: tuple[Any, ...], value: Any, told: str) -> None:
    made = imported("oks")
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    assert place[path[-1]] != value
    place[path[-1]] = value
    with pytest.raises(BusinessRule) as refused:
        shipped(BASE).worded(f"{BASE}/Questionnaire/oks|1.0.0-en-gb-2007", encode(made))
    assert (refused.value.status, refused.value.issues[0].expression) == (422, "QuestionnaireResponse.questionnaire")
    assert told in refused.value.issues[0].diagnostics


def test_an_item_more_or_less_has_no_rules_here() -> None:
    for change in (lambda items: items.pop(11), lambda items: items.append({"linkId": "q13", "type": "string"})):
        made = imported("oks")
        change(made["item"])
        with pytest.raises(WordingError, match=r"item q1[23] is not"):
            worded(shipped(BASE).instrument("oks"), made)
