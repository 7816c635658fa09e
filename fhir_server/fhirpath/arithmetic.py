"""Arithmetic of single values (http://hl7.org/fhirpath/N1/#math, #datetime-arithmetic). None: no result."""

from __future__ import annotations

import decimal
from dataclasses import replace
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import quantity, temporal
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.numbers import CONTEXT, as_decimal, integer_or_none, is_number
from fhir_server.fhirpath.quantity import CALENDAR_OF_UCUM, Quantity
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.fhirpath.values import describe

_INDEFINITE = ("a", "mo")


def signed(value: Any, *, negative: bool) -> Any:
    """`+value` or `-value`."""
    if value is None:
        return None
    if is_number(value):
        return -value if negative else value
    if type(value) is Quantity:
        return replace(value, value=-value.value) if negative else value
    raise EvaluationError(f"{describe(value)} has no sign")


def add(evaluation: Evaluation, left: Any, right: Any) -> Any:
    if type(left) is str and type(right) is str:
        return concatenate(evaluation, left, right)
    if type(left) is Temporal:
        return _move(left, right, 1)
    if type(left) is int and type(right) is int:
        return integer_or_none(left + right)
    if is_number(left) and is_number(right):
        return _decimal(CONTEXT.add, left, right)
    return _add_quantities(left, right, 1)


def subtract(evaluation: Evaluation, left: Any, right: Any) -> Any:
    if type(left) is Temporal:
        return _move(left, right, -1)
    if type(left) is int and type(right) is int:
        return integer_or_none(left - right)
    if is_number(left) and is_number(right):
        return _decimal(CONTEXT.subtract, left, right)
    return _add_quantities(left, right, -1)


def multiply(evaluation: Evaluation, left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int:
        return integer_or_none(left * right)
    if is_number(left) and is_number(right):
        return _decimal(CONTEXT.multiply, left, right)
    return _decimal(quantity.multiply, *_quantities(left, right, "*"))


def divide(evaluation: Evaluation, left: Any, right: Any) -> Any:
    if is_number(left) and is_number(right):
        return _decimal(CONTEXT.divide, left, right) if right else None
    return _decimal(quantity.divide, *_quantities(left, right, "/"))


def div(evaluation: Evaluation, left: Any, right: Any) -> Any:
    """The integer part of a division, towards zero."""
    result = _decimal(CONTEXT.divide_int, *_numbers(left, right, "div")) if right else None
    return None if result is None else integer_or_none(int(result))


def mod(evaluation: Evaluation, left: Any, right: Any) -> Any:
    """The remainder, with the sign of the dividend."""
    a, b = _numbers(left, right, "mod")
    result = _decimal(CONTEXT.remainder, a, b) if b else None
    return int(result) if result is not None and type(a) is int and type(b) is int else result


def concatenate(evaluation: Evaluation, left: Any, right: Any) -> str:
    if type(left) is not str or type(right) is not str:
        raise EvaluationError(f"{describe(left)} and {describe(right)} cannot be joined to a String")
    evaluation.text(len(left) + len(right))
    return left + right


def _decimal(compute: Any, left: Any, right: Any) -> Any:
    """None on overflow."""
    try:
        return compute(left, right)
    except decimal.DecimalException:
        return None


def _numbers(left: Any, right: Any, name: str) -> tuple[int | Decimal, int | Decimal]:
    if is_number(left) and is_number(right):
        return left, right
    raise EvaluationError(f"{name} needs two numbers, not {describe(left)} and {describe(right)}")


def _quantities(left: Any, right: Any, name: str) -> tuple[Quantity, Quantity]:
    ours = Quantity(as_decimal(left), "1") if is_number(left) else left
    theirs = Quantity(as_decimal(right), "1") if is_number(right) else right
    if type(ours) is not Quantity or type(theirs) is not Quantity:
        raise EvaluationError(f"{name} has no meaning for {describe(left)} and {describe(right)}")
    return ours, theirs


def _add_quantities(left: Any, right: Any, sign: int) -> Quantity | None:
    ours, theirs = _quantities(left, right, "+" if sign > 0 else "-")
    converted = quantity.convert(theirs, ours)
    return None if converted is None else replace(ours, value=CONTEXT.add(ours.value, converted * sign))


def _move(moment: Temporal, amount: Any, sign: int) -> Temporal | None:
    if type(amount) is not Quantity:
        raise EvaluationError(f"A duration with its unit is needed to move a {moment.kind}, not {describe(amount)}")
    unit = amount.unit
    if not amount.calendar:
        # N1: only definite durations of UCUM may move a date; `a` and `mo` are not calendar units.
        if unit in _INDEFINITE or unit not in CALENDAR_OF_UCUM:
            raise EvaluationError(f"A {moment.kind} cannot be moved by '{unit}'; write a calendar unit (1 month)")
        unit = CALENDAR_OF_UCUM[unit]
    if moment.kind == "time" and unit in ("year", "month", "week", "day"):
        raise EvaluationError(f"A time cannot be moved by {unit}s")
    return temporal.add(moment, amount.value * sign, unit)
