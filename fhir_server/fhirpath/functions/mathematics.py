"""Mathematics (http://hl7.org/fhirpath/N1/#math): exact where the result is, else to 28 digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Any

from fhir_server.fhirpath import arithmetic
from fhir_server.fhirpath.equality import order
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.registry import Function, of_collection, of_value
from fhir_server.fhirpath.node import Item
from fhir_server.fhirpath.numbers import CONTEXT, as_decimal, integer_or_none, is_number, rounded
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.values import describe, system

_DIGITS = 28
_MOST_PLACES = 28
Number = int | Decimal


def _abs(evaluation: Evaluation, value: Any) -> Any:
    if type(value) is Quantity:
        return replace(value, value=abs(value.value))
    if not is_number(value):
        raise EvaluationError(f"abs() needs a number or a quantity, not {describe(value)}")
    return abs(value)


def _whole(rounding: str) -> Callable[[Evaluation, Number], int | None]:
    def run(evaluation: Evaluation, value: Number) -> int | None:
        if type(value) is Decimal and value.adjusted() > 10:
            return None
        return integer_or_none(int(as_decimal(value).to_integral_value(rounding=rounding)))

    return run


def _round(evaluation: Evaluation, value: Number, places: int = 0) -> Any:
    if places < 0:
        raise EvaluationError("round() needs a precision of 0 or more")
    if type(value) is int:
        return value
    return rounded(value, min(places, _MOST_PLACES))


def _sqrt(evaluation: Evaluation, value: Number) -> Decimal | None:
    return CONTEXT.sqrt(as_decimal(value)) if value >= 0 else None


def _exp(evaluation: Evaluation, value: Number) -> Decimal:
    return _shortened(CONTEXT.exp(as_decimal(value)))


def _ln(evaluation: Evaluation, value: Number) -> Decimal | None:
    return _shortened(CONTEXT.ln(as_decimal(value))) if value > 0 else None


def _log(evaluation: Evaluation, value: Number, base: Number) -> Decimal | None:
    if value <= 0 or base <= 0 or base == 1:
        return None
    return _shortened(CONTEXT.divide(CONTEXT.ln(as_decimal(value)), CONTEXT.ln(as_decimal(base))))


def _power(evaluation: Evaluation, value: Number, exponent: Number) -> Any:
    if value < 0 and exponent != int(exponent):
        return None
    result = CONTEXT.power(as_decimal(value), as_decimal(exponent))
    if type(value) is int and type(exponent) is int and exponent >= 0:
        return integer_or_none(int(result)) if result.adjusted() < 11 else None
    return _shortened(result)


def _shortened(value: Decimal) -> Decimal:
    """To 28 digits: the rest is what computing cost."""
    places = _DIGITS - 1 - value.adjusted()
    return rounded(value, places) if places >= 0 and -int(value.as_tuple().exponent) > places else value


def _folded(
    combine: Callable[[Evaluation, Any, Any], Any],
) -> Callable[[Evaluation, list[Item]], list[Item]]:
    def run(evaluation: Evaluation, items: list[Item]) -> list[Item]:
        total: Any = None
        for item in items:
            value = system(item)
            total = value if total is None else combine(evaluation, total, value)
            if total is None:
                return []
        return [] if total is None else [total]

    return run


def _least(evaluation: Evaluation, left: Any, right: Any) -> Any:
    answer = order(left, right)
    return None if answer is None else left if answer <= 0 else right


def _greatest(evaluation: Evaluation, left: Any, right: Any) -> Any:
    answer = order(left, right)
    return None if answer is None else left if answer >= 0 else right


def _average(evaluation: Evaluation, items: list[Item]) -> list[Item]:
    total = _SUM(evaluation, [as_decimal(value) if is_number(value) else value for value in map(system, items)])
    if not total:
        return []
    result = arithmetic.divide(evaluation, total[0], Decimal(len(items)))
    return [] if result is None else [result]


_SUM = _folded(arithmetic.add)


def _number(run: Callable[..., Any], arguments: tuple[str, ...] = (), optional: int = 0, result: str = "") -> Function:
    return of_value(run, focus="number", arguments=arguments, optional=optional, result=result)


FUNCTIONS = {
    "abs": of_value(_abs),
    "ceiling": _number(_whole(ROUND_CEILING), result="Integer"),
    "floor": _number(_whole(ROUND_FLOOR), result="Integer"),
    "truncate": _number(_whole(ROUND_DOWN), result="Integer"),
    "round": _number(_round, ("integer",), optional=1),
    "sqrt": _number(_sqrt, result="Decimal"),
    "exp": _number(_exp, result="Decimal"),
    "ln": _number(_ln, result="Decimal"),
    "log": _number(_log, ("number",), result="Decimal"),
    "power": _number(_power, ("number",)),
    "sum": of_collection(_SUM),
    "min": of_collection(_folded(_least)),
    "max": of_collection(_folded(_greatest)),
    "avg": of_collection(_average),
}
