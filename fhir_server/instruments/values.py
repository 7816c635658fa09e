"""What one answer says: matched to the options by system and code, numbers within bounds, quantities by UCUM.

R4 questionnaireresponse.html; never by display or position.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from fhir_server.instruments.definition import AnswerKey, Exact, Item, Reading
from fhir_server.instruments.formula import exact
from fhir_server.model.ucum import canonical

UCUM = "http://unitsofmeasure.org"
_DIGITS = 18
"""R4 datatypes.html#decimal: implementations need not keep more."""


class UnreadableError(Exception):
    """An answer that says nothing the item takes: issue code, diagnostics and where below the answer."""

    def __init__(self, code: str, diagnostics: str, below: str = ".value") -> None:
        super().__init__(code, diagnostics, below)
        self.code = code
        self.diagnostics = diagnostics
        self.below = below


def read_value(question: Item, answer: dict[str, Any], values: list[str]) -> Reading:
    """The reading of `answer`, whose keys `values` begin with value. Raises UnreadableError."""
    if len(values) > 1:
        raise UnreadableError("structure", f"An answer of {question.link_id} has more than one value.", "")
    kind = values[0]
    value = answer[kind]
    if question.type == "choice":
        return _option(question, kind, value)
    if question.type == "quantity":
        return _within(question, _amount(question, kind, value))
    if kind not in ("valueInteger", "valueDecimal"):
        wanted = "valueInteger" if question.type == "integer" else "valueDecimal"
        raise UnreadableError("value", f"Item {question.link_id} is answered by {wanted}, not by {kind}.")
    return _within(question, _number(question, value))


def _option(question: Item, kind: str, value: Any) -> Reading:
    takes = next(iter(question.options))[0]
    if takes == "coding":
        if kind != "valueCoding":
            raise UnreadableError("value", f"Item {question.link_id} is answered by valueCoding, not by {kind}.")
        return _chosen(question, _coding_key(question, value))
    if kind not in ("valueInteger", "valueDecimal"):
        raise UnreadableError("value", f"Item {question.link_id} is answered by valueInteger, not by {kind}.")
    number = _number(question, value)
    if not isinstance(number, int):
        raise UnreadableError("value", f"The answer of {question.link_id} is not a whole number.")
    return _chosen(question, ("integer", "", str(number)))


def _coding_key(question: Item, value: Any) -> AnswerKey:
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        text = f"The answer of {question.link_id} has no code; its display is not read."
        raise UnreadableError("required", text, ".value.code")
    system = value.get("system")
    return "coding", system if isinstance(system, str) else "", value["code"]


def _chosen(question: Item, key: AnswerKey) -> Reading:
    reading = question.options.get(key)
    if reading is None:
        allowed = ", ".join(code for _, _, code in question.options)
        system = next(iter(question.options))[1]
        of_system = f" of {system}" if system else ""
        raise UnreadableError("code-invalid", f"Item {question.link_id} takes one of {allowed}{of_system}.")
    return reading


def _number(question: Item, value: Any) -> Exact:
    number = Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else Decimal("NaN")
    # the size is looked at first: an exponent of a million would become a million digits
    if not number.is_finite() or abs(number.adjusted()) >= _DIGITS:
        raise UnreadableError("value", f"The answer of {question.link_id} is not a number that can be read.")
    return exact(number)


def _amount(question: Item, kind: str, value: Any) -> Exact:
    """A quantity in the item's unit; its dimension must be the same (UCUM)."""
    link_id, unit = question.link_id, question.unit
    if kind != "valueQuantity" or not isinstance(value, dict):
        raise UnreadableError("value", f"Item {link_id} is answered by valueQuantity in {unit}, not by {kind}.")
    if value.get("comparator") is not None:
        raise UnreadableError("value", f"A comparator leaves the value of {link_id} open.", ".value.comparator")
    code = value.get("code")
    if value.get("system") != UCUM or not isinstance(code, str):
        text = f"Item {link_id} needs its unit as a UCUM code (system {UCUM}), as {unit}."
        raise UnreadableError("required", text, ".value.code")
    number = _number(question, value.get("value"))
    if code == unit:
        return number
    given, wanted = canonical(Decimal(1), code), canonical(Decimal(1), unit)
    if given is None or wanted is None or given[1] != wanted[1]:
        raise UnreadableError("value", f"Item {link_id} cannot be read in {code}: send it in {unit}.", ".value.code")
    return exact(Fraction(number) * Fraction(given[0]) / Fraction(wanted[0]))


def _within(question: Item, number: Exact) -> Exact:
    low, high, step = question.low, question.high, question.step
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UnreadableError("value", f"Item {question.link_id} takes numbers {bounds}.")
    if step is not None and number % step != 0:
        kind = "whole numbers" if step == 1 else f"multiples of {float(step):g}"
        raise UnreadableError("value", f"Item {question.link_id} takes {kind} only.")
    return number
