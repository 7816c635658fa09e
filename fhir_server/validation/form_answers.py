"""What one answer to an item of a Questionnaire may be: checks made once from the item, run for each answer.

R4 questionnaire.html (answerOption, maxLength), questionnaire-item-type; the extensions of R4 extensibility
(minValue, maxValue, maxDecimalPlaces, minLength, regex, mimeType, maxSize, questionnaire-unit, -unitOption,
-referenceResource) and SDC's (minQuantity, maxQuantity).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath.evaluation import EvaluationError
from fhir_server.fhirpath.regex import compiled
from fhir_server.model.reference import parse_reference
from fhir_server.model.ucum import canonical

Json = dict[str, Any]
Problem = tuple[str, str]
"""Issue code and what is wrong."""
Check = Callable[[Any], Problem | None]

CORE = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"

VALUE_KEYS: dict[str, tuple[str, ...]] = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal",),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": ("valueCoding",),
    "open-choice": ("valueCoding", "valueString"),
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}
"""Item type -> the answers it takes (R4 valueset-item-type). A choice takes those of its options too."""

_TEXTS = ("string", "text", "url", "open-choice")
_ORDERED = ("integer", "decimal", "date", "dateTime", "time", "quantity")
MEGABYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class Options:
    """The answers an item lists: keys of `option_key`, and which of them stand alone."""

    keys: frozenset[Any]
    exclusive: frozenset[Any]


def extensions(element: Json, url: str) -> Iterator[Any]:
    """The values of the extensions `url` of `element`."""
    for extension in element.get("extension", ()):
        if extension.get("url") == url:
            yield from (value for key, value in extension.items() if key.startswith("value"))


def extension(element: Json, url: str) -> Any:
    return next(extensions(element, url), None)


def value_of(element: Json) -> tuple[str, Any] | None:
    """Key and value of a value[x]; None when there is none but perhaps an extension."""
    for key in element:
        if key.startswith("value"):
            return key, element[key]
    return None


def option_key(value: Any) -> Any:
    """What makes two answers the same option: of a Coding system and code, or the display where it has no code."""
    if type(value) is not dict:
        return value
    if "reference" in value:
        return value["reference"]
    return value.get("system"), value.get("code", value.get("display"))


def options_of(item: Json) -> Options | None:
    """The answerOptions of `item`; None when it has none."""
    if "answerOption" not in item:
        return None
    keys, exclusive = [], []
    for option in item["answerOption"]:
        found = value_of(option)
        if found is not None:
            keys.append(option_key(found[1]))
            if extension(option, f"{CORE}questionnaire-optionExclusive"):
                exclusive.append(option_key(found[1]))
    return Options(frozenset(keys), frozenset(exclusive))


def keys_of(item: Json) -> tuple[str, ...]:
    """The value[x] keys that answer `item`."""
    keys = VALUE_KEYS.get(item.get("type", ""), ())
    if item.get("type") in ("choice", "open-choice"):
        listed = (found[0] for option in item.get("answerOption", ()) if (found := value_of(option)) is not None)
        keys = tuple(dict.fromkeys((*keys, *listed)))
    return keys


def checks_of(item: Json) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """The checks of a value beyond type and options, and what in `item` cannot be checked."""
    kind = item.get("type")
    checks: list[Check] = []
    unusable: list[str] = []
    if kind in _TEXTS:
        checks += _length_checks(item)
    if kind in _ORDERED:
        checks += _range_checks(item)
    if kind in ("decimal", "quantity") and (places := extension(item, f"{CORE}maxDecimalPlaces")) is not None:
        checks.append(_decimal_places(places))
    if (pattern := extension(item, f"{CORE}regex")) is not None:
        try:
            checks.append(_regex(pattern))
        except EvaluationError as error:
            unusable.append(f"Item {item['linkId']}: {error}")
    if kind == "quantity":
        checks += _unit_checks(item)
    if kind == "reference" and (types := frozenset(extensions(item, f"{CORE}questionnaire-referenceResource"))):
        checks.append(_reference_type(types))
    if kind == "attachment":
        checks += _attachment_checks(item)
    return tuple(checks), tuple(unusable)


def _length_checks(item: Json) -> Iterator[Check]:
    longest, shortest = item.get("maxLength"), extension(item, f"{CORE}minLength")
    if longest is not None:
        yield (
            lambda text: (
                ("too-long", f"The answer has {len(text)} characters; at most {longest} are asked for.")
                if type(text) is str and len(text) > longest
                else None
            )
        )
    if shortest is not None:
        yield (
            lambda text: (
                ("value", f"The answer has {len(text)} characters; at least {shortest} are asked for.")
                if type(text) is str and len(text) < shortest
                else None
            )
        )


def _range_checks(item: Json) -> Iterator[Check]:
    unit = extension(item, f"{CORE}questionnaire-unit") or {}
    for name, words, breaks in (("min", "less than", operator.lt), ("max", "more than", operator.gt)):
        limit = extension(item, f"{CORE}{name}Value")
        if limit is not None:
            # A limit without a unit, on a Quantity, is in the item's unit.
            yield _limit(limit, str(unit.get("code", "")), words, breaks)
        limit = extension(item, f"{SDC}{name}Quantity")
        if isinstance(limit, dict) and "value" in limit:
            yield _limit(limit["value"], str(limit.get("code", "")), words, breaks)


def _limit(limit: Any, unit: str, words: str, breaks: Callable[[Any, Any], bool]) -> Check:
    said = f"{words} {limit}{f' {unit}' if unit else ''}, the limit"
    in_base = canonical(Decimal(limit), unit) if unit and isinstance(limit, int | Decimal) else None

    def check(value: Any) -> Problem | None:
        if type(value) is dict:
            return ("value", f"The answer is {said}.") if _quantity_breaks(value) else None
        if isinstance(limit, str) != isinstance(value, str):
            return None
        if isinstance(limit, str) and value.startswith(limit):
            # A whole day or year is not beyond a limit that it begins with.
            return None
        return ("value", f"The answer {value} is {said}.") if breaks(value, limit) else None

    def _quantity_breaks(value: Json) -> bool:
        amount = value.get("value")
        if not isinstance(amount, int | Decimal):
            return False
        if in_base is None or value.get("code") in (None, unit):
            return breaks(amount, limit)
        found = canonical(Decimal(amount), str(value["code"]))
        return found is not None and found[1:] == in_base[1:] and breaks(found[0], in_base[0])

    return check


def _decimal_places(places: int) -> Check:
    def check(value: Any) -> Problem | None:
        number = value.get("value") if type(value) is dict else value
        if isinstance(number, Decimal) and -int(number.as_tuple().exponent) > places:
            return "value", f"The answer {number} has more than {places} decimal places."
        return None

    return check


def _regex(pattern: str) -> Check:
    expression = compiled(pattern)

    def check(value: Any) -> Problem | None:
        text = value if type(value) is str else str(value) if isinstance(value, int | Decimal) else None
        if text is None or expression.fullmatch(text) is not None:
            return None
        return "value", f"The answer does not have the form {pattern[:200]}."

    return check


def _unit_checks(item: Json) -> Iterator[Check]:
    """With unitOptions one of them; with the item's unit alone, one that UCUM converts to it."""
    choices = [one for one in extensions(item, f"{CORE}questionnaire-unitOption") if isinstance(one, dict)]
    unit = extension(item, f"{CORE}questionnaire-unit")
    if choices:
        allowed = frozenset((one.get("system"), one.get("code")) for one in choices)
        names = ", ".join(str(one.get("code")) for one in choices)
        yield (
            lambda value: (
                None
                if (value.get("system"), value.get("code")) in allowed
                else ("code-invalid", f"The unit {_shown_unit(value)} is none of those offered: {names}.")
            )
        )
    elif isinstance(unit, dict) and (code := unit.get("code")):
        base = canonical(Decimal(1), code)

        def convertible(value: Json) -> Problem | None:
            own = value.get("code")
            if own == code or (own is None and value.get("unit") in (None, code, unit.get("display"))):
                return None
            found = canonical(Decimal(1), str(own)) if own is not None else None
            if base is not None and found is not None and found[1:] == base[1:]:
                return None
            return "code-invalid", f"The unit {_shown_unit(value)} does not convert to {code}."

        yield convertible


def _shown_unit(value: Json) -> str:
    return str(value.get("code", value.get("unit", "(none)")))[:50]


def _reference_type(types: frozenset[str]) -> Check:
    def check(value: Json) -> Problem | None:
        found = value.get("type") or parse_reference(str(value.get("reference", ""))).resource_type
        if not found or found in types:
            return None
        return "value", f"A reference to a {found}; asked for is one to {', '.join(sorted(types))}."

    return check


def _attachment_checks(item: Json) -> Iterator[Check]:
    types = frozenset(extensions(item, f"{CORE}mimeType"))
    largest = extension(item, f"{CORE}maxSize")
    if types:
        yield (
            lambda value: (
                None
                if value.get("contentType") in types
                else ("value", f"The attachment's contentType is none of {', '.join(sorted(types))}.")
            )
        )
    if largest is not None:
        yield (
            lambda value: (
                ("too-long", f"The attachment is larger than {largest} MB.")
                if _size(value) > largest * MEGABYTE
                else None
            )
        )


def _size(attachment: Json) -> int:
    sent = len(attachment.get("data", "")) * 3 // 4
    return max(sent, int(attachment.get("size", 0)))
