"""Answers to any Questionnaire, drawn at random from what its items allow (R4 questionnaire.html)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

Json = dict[str, Any]

_MIN = "http://hl7.org/fhir/StructureDefinition/minValue"
_MAX = "http://hl7.org/fhir/StructureDefinition/maxValue"
_UNIT = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"
_UNSAID = frozenset(("display", "attachment", "reference"))
_ENABLED_BY = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression"


def answer(questionnaire: Json, random: Random, *, leave_out: float = 0.0) -> list[Json]:
    """The items of a response; questions that are not required are left out as often as `leave_out` says, never all."""
    questions = questionnaire.get("item", [])
    return list(_items(questions, random, leave_out, {})) or list(_items(questions, random, 0.0, {}))


def _items(questions: list[Json], random: Random, leave_out: float, given: dict[str, list[Json]]) -> Iterator[Json]:
    for question in questions:
        if question["type"] in _UNSAID or question.get("readOnly") or not _is_enabled(question, given):
            continue
        if question["type"] == "group":
            below = list(_items(question.get("item", []), random, leave_out, given))
            if below:
                yield {"linkId": question["linkId"], "item": below}
            continue
        if not question.get("required") and random.random() < leave_out:
            continue
        answers = [_value(question, random)]
        given[question["linkId"]] = answers
        below = list(_items(question.get("item", []), random, leave_out, given))
        if below:
            answers = [{**answers[0], "item": below}]
        yield {"linkId": question["linkId"], "answer": answers}


def _is_enabled(question: Json, given: dict[str, list[Json]]) -> bool:
    """By enableWhen; what an expression enables is left unanswered."""
    if any(extension["url"] == _ENABLED_BY for extension in question.get("extension", ())):
        return False
    conditions = question.get("enableWhen", [])
    held = [_holds(condition, given.get(condition["question"], [])) for condition in conditions]
    return not held or (any(held) if question.get("enableBehavior") == "any" else all(held))


def _holds(condition: Json, answers: list[Json]) -> bool:
    (expected,) = (value for name, value in condition.items() if name.startswith("answer"))
    operator = condition["operator"]
    if operator == "exists":
        return bool(answers) == expected
    values = [_comparable(value) for one in answers for name, value in one.items() if name.startswith("value")]
    wanted = _comparable(expected)
    compare = {
        "=": lambda value: value == wanted,
        "!=": lambda value: value != wanted,
        ">": lambda value: value > wanted,
        "<": lambda value: value < wanted,
        ">=": lambda value: value >= wanted,
        "<=": lambda value: value <= wanted,
    }[operator]
    return any(compare(value) for value in values)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("code") or value.get("value")
    return value


def _value(question: Json, random: Random) -> Json:
    options = question.get("answerOption")
    if options:
        option = random.choice(options)
        return {name: value for name, value in option.items() if name.startswith("value")}
    limits = {extension["url"]: extension for extension in question.get("extension", ())}
    kind = question["type"]
    if kind in ("integer", "decimal", "quantity"):
        number = random.randint(_limit(limits, _MIN, 0), _limit(limits, _MAX, 10))
        if kind == "quantity":
            unit = limits.get(_UNIT, {}).get("valueCoding", {})
            return {
                "valueQuantity": {"value": number, **{name: unit[name] for name in ("system", "code") if name in unit}}
            }
        return {"valueInteger" if kind == "integer" else "valueDecimal": number}
    return _SIMPLE[kind](random)


def _limit(limits: dict[str, Json], url: str, otherwise: int) -> int:
    extension = limits.get(url, {})
    return int(next((value for name, value in extension.items() if name.startswith("value")), otherwise))


_SIMPLE = {
    "boolean": lambda random: {"valueBoolean": random.random() < 0.5},
    "string": lambda random: {"valueString": random.choice(("better", "worse", "the same"))},
    "text": lambda random: {"valueString": "A sample of what somebody wrote."},
    "date": lambda random: {"valueDate": f"2025-{random.randint(1, 12):02}-{random.randint(1, 28):02}"},
    "dateTime": lambda random: {"valueDateTime": "2025-06-01T10:00:00Z"},
    "time": lambda random: {"valueTime": "10:00:00"},
    "url": lambda random: {"valueUri": "https://example.org/"},
    "open-choice": lambda random: {"valueString": "another"},
}
