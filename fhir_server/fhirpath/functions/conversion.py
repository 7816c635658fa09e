"""Conversion (http://hl7.org/fhirpath/N1/#conversion): `toX()` and `convertsToX()`."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath import quantity
from fhir_server.fhirpath.evaluation import Evaluation
from fhir_server.fhirpath.functions.registry import Function, of_value
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.numbers import as_decimal, integer_or_none, is_number, plain
from fhir_server.fhirpath.quantity import Quantity, parse_quantity
from fhir_server.fhirpath.temporal import Temporal, parse_datetime, parse_time

_INTEGER = re.compile(r"[+-]?\d{1,11}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,300}(?:\.\d{1,300})?", re.ASCII)
_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))


def _to_boolean(value: Any) -> bool | None:
    if type(value) is bool:
        return value
    if is_number(value):
        return {0: False, 1: True}.get(value)
    if type(value) is str:
        folded = value.lower()
        return True if folded in _TRUE else False if folded in _FALSE else None
    return None


def _to_integer(value: Any) -> int | None:
    if type(value) is bool or type(value) is int:
        return int(value)
    if type(value) is str and _INTEGER.fullmatch(value):
        return integer_or_none(int(value))
    return None


def _to_long(value: Any) -> int | None:
    """64 bits; there is no Long in N1, so the result is an Integer that may be larger."""
    if type(value) is bool or type(value) is int:
        return int(value)
    if type(value) is str and re.fullmatch(r"[+-]?\d{1,19}", value, re.ASCII) and -(2**63) <= int(value) < 2**63:
        return int(value)
    return None


def _to_decimal(value: Any) -> Decimal | None:
    if type(value) is bool:
        return Decimal(int(value))
    if is_number(value):
        return as_decimal(value)
    if type(value) is str and _DECIMAL.fullmatch(value):
        return Decimal(value)
    return None


def to_string(value: Any) -> str | None:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is Decimal:
        return plain(value)
    return str(value) if type(value) in (Temporal, Quantity) else None


def _to_date(value: Any) -> Temporal | None:
    if type(value) is str:
        # A dateTime's date part counts (N1 toDate).
        found = parse_datetime(value)
        return Temporal("date", found.parts[:3]) if found is not None else None
    if type(value) is Temporal and value.kind != "time":
        return Temporal("date", value.parts[:3])
    return None


def _to_datetime(value: Any) -> Temporal | None:
    if type(value) is str:
        return parse_datetime(value)
    if type(value) is Temporal and value.kind != "time":
        return value if value.kind == "dateTime" else Temporal("dateTime", value.parts)
    return None


def _to_time(value: Any) -> Temporal | None:
    if type(value) is str:
        return parse_time(value)
    return value if type(value) is Temporal and value.kind == "time" else None


def _to_quantity(value: Any) -> Quantity | None:
    if type(value) is Quantity:
        return value
    if type(value) is bool:
        return Quantity(Decimal(int(value)), "1")
    if is_number(value):
        return Quantity(as_decimal(value), "1")
    return parse_quantity(value) if type(value) is str else None


def _in_unit(value: Any, unit: str | None) -> Quantity | None:
    found = _to_quantity(value)
    if found is None or unit is None:
        return found
    wanted = quantity.calendar_unit(unit)
    target = Quantity(Decimal(1), wanted, calendar=True) if wanted else Quantity(Decimal(1), unit)
    converted = quantity.convert(found, target)
    return None if converted is None else Quantity(converted, target.unit, target.calendar)


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "Boolean": _to_boolean,
    "Integer": _to_integer,
    "Long": _to_long,
    "Decimal": _to_decimal,
    "String": to_string,
    "Date": _to_date,
    "DateTime": _to_datetime,
    "Time": _to_time,
}
_RESULT = {"Long": "Integer"}


def _to(convert: Callable[[Any], Any], result: str) -> Function:
    def run(evaluation: Evaluation, value: Any) -> Any:
        return None if type(value) is Node else convert(value)

    return of_value(run, result=result)


def _converts_to(convert: Callable[[Any], Any]) -> Function:
    def run(evaluation: Evaluation, value: Any) -> bool:
        return type(value) is not Node and convert(value) is not None

    return of_value(run, result="Boolean")


def _quantity(evaluation: Evaluation, value: Any, unit: str | None = None) -> Quantity | None:
    return None if type(value) is Node else _in_unit(value, unit)


def _converts_to_quantity(evaluation: Evaluation, value: Any, unit: str | None = None) -> bool:
    return _quantity(evaluation, value, unit) is not None


FUNCTIONS = {
    **{f"to{name}": _to(convert, _RESULT.get(name, name)) for name, convert in _CONVERSIONS.items()},
    **{f"convertsTo{name}": _converts_to(convert) for name, convert in _CONVERSIONS.items()},
    "toQuantity": of_value(_quantity, arguments=("string",), optional=1, result="Quantity"),
    "convertsToQuantity": of_value(_converts_to_quantity, arguments=("string",), optional=1, result="Boolean"),
}
