"""What a QuestionnaireResponse answers, item by item, with everything that keeps it from being scored.

R4 questionnaireresponse.html; answers are matched to the Questionnaire's options by system and code, never by
display or position.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fhir_server.errors import Issue
from fhir_server.instruments.definition import AnswerKey, Exact, Instrument, Item

_DIGITS = 18
"""R4 datatypes.html#decimal: implementations need not keep more."""


@dataclass(slots=True)
class Answers:
    """`readings` may hold several scores for an item answered more than once: those are also issues."""

    readings: dict[str, list[Exact]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def read_answers(instrument: Instrument, response: dict[str, Any]) -> Answers:
    """Collect the item scores of `response`; an item that cannot be read becomes an issue, never a zero."""
    answers = Answers()
    seen: set[str] = set()
    for item, expression in _walk(response, "QuestionnaireResponse", answers.issues):
        link_id = item.get("linkId")
        if not isinstance(link_id, str):
            answers.issues.append(Issue("required", "An item has no linkId.", f"{expression}.linkId"))
            continue
        if link_id in seen:
            answers.issues.append(
                Issue("duplicate", f"Item {link_id} occurs more than once: send it once.", expression)
            )
        seen.add(link_id)
        _read_item(instrument, link_id, item, expression, answers)
    return answers


def _walk(parent: dict[str, Any], expression: str, issues: list[Issue]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every item below `parent`, depth first: items of groups and items of answers alike."""
    for item, path in _objects(parent, "item", expression, issues):
        yield item, path
        yield from _walk(item, path, issues)
        for answer, answer_path in _objects(item, "answer", path, issues):
            yield from _walk(answer, answer_path, issues)


def _objects(
    parent: dict[str, Any], name: str, expression: str, issues: list[Issue]
) -> Iterator[tuple[dict[str, Any], str]]:
    elements = parent.get(name, [])
    if not isinstance(elements, list):
        issues.append(Issue("structure", f"{name} is not a list.", f"{expression}.{name}"))
        return
    for index, element in enumerate(elements):
        path = f"{expression}.{name}[{index}]"
        if isinstance(element, dict):
            yield element, path
        else:
            issues.append(Issue("structure", f"{name} holds something that is not an object.", path))


def _read_item(instrument: Instrument, link_id: str, item: dict[str, Any], expression: str, answers: Answers) -> None:
    question = instrument.items.get(link_id)
    if question is None:
        answers.issues.append(
            Issue(
                "not-found", f"Questionnaire {instrument.canonical} has no question {link_id}.", f"{expression}.linkId"
            )
        )
        return
    if not question.options:
        return  # asked, but no part of any score
    given = [
        (answer, path)
        for answer, path in _objects(item, "answer", expression, [])
        if any(key.startswith("value") for key in answer)
    ]
    if len(given) > 1:
        answers.issues.append(
            Issue("duplicate", f"Item {link_id} has {len(given)} answers but takes one.", f"{expression}.answer")
        )
    for answer, path in given:
        reading = _read_answer(question, answer, path)
        if isinstance(reading, Issue):
            answers.issues.append(reading)
            answers.readings.setdefault(link_id, [])
        else:
            answers.readings.setdefault(link_id, []).append(reading)


def _read_answer(question: Item, answer: dict[str, Any], expression: str) -> Exact | Issue:
    values = [key for key in answer if key.startswith("value")]
    if len(values) != 1:
        return Issue("structure", f"An answer of {question.link_id} has more than one value.", expression)
    kind = values[0]
    value = answer[kind]
    at = f"{expression}.value"
    wanted = next(iter(question.options))[0]
    if wanted == "coding":
        return _read_coding(question, value, at) if kind == "valueCoding" else _wrong_type(question, kind, at)
    if kind in ("valueInteger", "valueDecimal"):
        return _read_integer(question, value, at)
    return _wrong_type(question, kind, at)


def _wrong_type(question: Item, kind: str, expression: str) -> Issue:
    wanted = "valueCoding" if next(iter(question.options))[0] == "coding" else "valueInteger"
    return Issue("value", f"Item {question.link_id} is answered by {wanted}, not by {kind}.", expression)


def _read_coding(question: Item, value: Any, expression: str) -> Exact | Issue:
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        return Issue(
            "required", f"The answer of {question.link_id} has no code; its display is not read.", f"{expression}.code"
        )
    system = value.get("system")
    return _option(question, ("coding", system if isinstance(system, str) else "", value["code"]), expression)


def _read_integer(question: Item, value: Any, expression: str) -> Exact | Issue:
    number = _number(value)
    if number is None or number.denominator != 1:
        return Issue("value", f"The answer of {question.link_id} is not a whole number.", expression)
    return _option(question, ("integer", "", str(number)), expression)


def _number(value: Any) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    # an exponent of a million would become a million digits
    return Fraction(number) if number.is_finite() and abs(number.adjusted()) < _DIGITS else None


def _option(question: Item, key: AnswerKey, expression: str) -> Exact | Issue:
    score = question.options.get(key)
    if score is not None:
        return score
    allowed = ", ".join(code for _, _, code in question.options)
    system = next(iter(question.options))[1]
    of_system = f" of {system}" if system else ""
    return Issue("code-invalid", f"Item {question.link_id} takes one of {allowed}{of_system}.", expression)
