"""Precision and boundaries of values (http://hl7.org/fhirpath/#lowboundaryprecision-integer and following)."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from fhir_server.fhirpath import quantity
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.registry import of_value
from fhir_server.fhirpath.numbers import as_decimal, decimals, is_number
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import EARLIEST_ZONE, LATEST_ZONE, Temporal
from fhir_server.fhirpath.values import describe

_DEFAULT_DECIMALS = 8
_MOST_DECIMALS = 31
_DATE_DIGITS = {4: 1, 6: 2, 8: 3}
_DATETIME_DIGITS = {**_DATE_DIGITS, 10: 4, 12: 5, 14: 6, 17: 7}
_TIME_DIGITS = {2: 1, 4: 2, 6: 3, 9: 4}
_DIGITS = {"date": _DATE_DIGITS, "dateTime": _DATETIME_DIGITS, "time": _TIME_DIGITS}
"""Precision in digits -> how many parts, milliseconds as one."""


def _boundary(value: Any, digits: int | None, *, high: bool) -> Any:
    if is_number(value):
        return _decimal_boundary(as_decimal(value), digits, high=high)
    if type(value) is Quantity:
        moved = _decimal_boundary(value.value, digits, high=high)
        return None if moved is None else replace(value, value=moved)
    if type(value) is Temporal:
        return _temporal_boundary(value, digits, high=high)
    raise EvaluationError(f"{describe(value)} has no boundaries")


def _decimal_boundary(value: Decimal, digits: int | None, *, high: bool) -> Decimal | None:
    """Half a unit of the last digit away, rounded outwards."""
    places = _DEFAULT_DECIMALS if digits is None else digits
    if not 0 <= places <= _MOST_DECIMALS or value.adjusted() > _MOST_DECIMALS:
        return None
    half = Decimal(5).scaleb(-decimals(value) - 1)
    moved = value + half if high else value - half
    return moved.quantize(Decimal(1).scaleb(-places), rounding=ROUND_CEILING if high else ROUND_FLOOR)


def _temporal_boundary(value: Temporal, digits: int | None, *, high: bool) -> Temporal | None:
    known = _DIGITS[value.kind]
    if digits is None:
        digits = max(known)
    wanted = known.get(digits)
    if wanted is None:
        return None
    parts = list(value.parts)
    first_clock = 0 if value.kind == "time" else 3
    while len(parts) < min(wanted, first_clock + 3):
        parts.append(_limit(parts, first_clock, high=high))
    fraction = ""
    if wanted > len(parts) or (len(parts) == first_clock + 3 and wanted == first_clock + 4):
        fraction = value.fraction[:3].ljust(3, "9" if high else "0")
    offset = value.offset
    if value.kind == "dateTime" and wanted > 3 and offset is None:
        offset = LATEST_ZONE if high else EARLIEST_ZONE
    return Temporal(value.kind, tuple(parts[:wanted]), fraction, offset if wanted > 3 else None)


def _limit(parts: list[int], first_clock: int, *, high: bool) -> int:
    """The least or greatest value of the next part."""
    at = len(parts)
    if at >= first_clock:
        return (23, 59, 59)[at - first_clock] if high else 0
    if not high:
        return 1
    return 12 if at == 1 else monthrange(parts[0], parts[1])[1]


def _low(evaluation: Evaluation, value: Any, digits: int | None = None) -> Any:
    return _boundary(value, digits, high=False)


def _high(evaluation: Evaluation, value: Any, digits: int | None = None) -> Any:
    return _boundary(value, digits, high=True)


def _precision(evaluation: Evaluation, value: Any) -> int:
    """Decimals of a number, digits of a date or time."""
    if is_number(value):
        return decimals(value)
    if type(value) is not Temporal:
        raise EvaluationError(f"{describe(value)} has no precision")
    parts = len(value.parts) + (1 if value.fraction else 0)
    return next(digits for digits, count in _DIGITS_OF_ANY[value.kind].items() if count == parts)


_DIGITS_OF_ANY = {**_DIGITS, "date": _DATETIME_DIGITS}


def _comparable(evaluation: Evaluation, value: Any, other: Any) -> bool:
    if type(value) is not Quantity or type(other) is not Quantity:
        raise EvaluationError("comparable() needs two quantities")
    return quantity.comparable(value, other)


def _component(name: str) -> Any:
    """One part of a date or time, empty when it is not known."""
    at = {"year": 0, "month": 1, "day": 2, "hour": 3, "minute": 4, "second": 5, "millisecond": 6}[name]

    def run(evaluation: Evaluation, value: Any) -> int | None:
        if type(value) is not Temporal:
            raise EvaluationError(f"{describe(value)} has no {name}")
        n = at - 3 if value.kind == "time" else at
        if name == "millisecond":
            return int(value.fraction[:3].ljust(3, "0")) if value.fraction else None
        return value.parts[n] if 0 <= n < len(value.parts) else None

    return of_value(run, result="Integer")


FUNCTIONS = {
    "lowBoundary": of_value(_low, arguments=("integer",), optional=1),
    "highBoundary": of_value(_high, arguments=("integer",), optional=1),
    "precision": of_value(_precision, result="Integer"),
    "comparable": of_value(_comparable, arguments=("",), result="Boolean"),
    **{f"{name}Of": _component(name) for name in ("year", "month", "day", "hour", "minute", "second", "millisecond")},
}
