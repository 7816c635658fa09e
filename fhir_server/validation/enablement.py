"""Which items of a Questionnaire a response may answer, by R4 questionnaire.html#Questionnaire.item.enableWhen.

The operators are those of http://hl7.org/fhir/questionnaire-enable-operator: each holds when one answer meets it, but
for `!=`, which holds when none is equal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from fhir_server.model.ucum import canonical

Json = dict[str, Any]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def disabled_items(questionnaire: Json, response: Json) -> set[str]:
    """The linkIds of the items that `response` must leave alone, those below a disabled one among them."""
    answers: dict[str, list[Any]] = {}
    _collect(response, answers)
    disabled: set[str] = set()
    _disable(questionnaire.get("item", ()), answers, disabled, below_disabled=False)
    return disabled


def _collect(parent: Json, answers: dict[str, list[Any]]) -> None:
    """The values of every answer, by linkId."""
    for item in _objects(parent.get("item")):
        found = answers.setdefault(str(item.get("linkId")), [])
        for answer in _objects(item.get("answer")):
            found.extend(value for key, value in answer.items() if key.startswith("value"))
            _collect(answer, answers)
        _collect(item, answers)


def _objects(value: Any) -> Iterator[Json]:
    return (element for element in value if isinstance(element, dict)) if isinstance(value, list) else iter(())


def _disable(items: Any, answers: dict[str, list[Any]], disabled: set[str], *, below_disabled: bool) -> None:
    for item in items:
        off = below_disabled or not _is_enabled(item, answers)
        if off:
            disabled.add(item["linkId"])
        _disable(item.get("item", ()), answers, disabled, below_disabled=off)


def _is_enabled(item: Json, answers: dict[str, list[Any]]) -> bool:
    conditions = item.get("enableWhen", ())
    if not conditions:
        return True
    met = (is_met(condition, answers.get(condition["question"], [])) for condition in conditions)
    return any(met) if item.get("enableBehavior") == "any" else all(met)


def is_met(condition: Json, values: list[Any]) -> bool:
    """Whether one enableWhen holds where its question was answered with `values`."""
    wanted = next(value for key, value in condition.items() if key.startswith("answer"))
    comparison = condition["operator"]
    if comparison == "exists":
        return bool(bool(values) == wanted)
    if comparison in ("=", "!="):
        equal = any(_comparable(value) == _comparable(wanted) for value in values)
        return equal if comparison == "=" else not equal
    return any(_stands(_ORDERED[comparison], value, wanted) for value in values)


def _stands(compare: Callable[[Any, Any], bool], value: Any, wanted: Any) -> bool:
    left, right = _comparable(value), _comparable(wanted)
    try:
        if isinstance(left, tuple) and isinstance(right, tuple):
            return left[1:] == right[1:] and bool(compare(left[0], right[0]))
        return bool(compare(left, right))
    except TypeError:
        return False


def _comparable(value: Any) -> Any:
    """A Coding by system and code, a Quantity by its amount in base units and these, a Reference by its target."""
    if not isinstance(value, dict):
        return value
    if "reference" in value:
        return value["reference"]
    if isinstance(value.get("value"), int | Decimal):
        amount = Decimal(value["value"])
        return canonical(amount, str(value.get("code", ""))) or (amount, value.get("unit"))
    return ("", value.get("system"), value.get("code"))
