"""System values of items (R4 fhirpath.html#types: FHIR primitives and quantities convert implicitly)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhirpath.evaluation import EvaluationError
from fhir_server.fhirpath.node import Item, Node, TypeName
from fhir_server.fhirpath.quantity import CALENDAR_OF_UCUM, Quantity
from fhir_server.fhirpath.temporal import Temporal, parse_date, parse_datetime, parse_time

UCUM = "http://unitsofmeasure.org"


def _decimal(value: Any) -> Any:
    if type(value) is Decimal:
        return value
    if type(value) is float:
        return Decimal(repr(value))
    return Decimal(value) if type(value) is int else None


def _date(value: Any) -> Any:
    return parse_date(value) if type(value) is str else None


def _datetime(value: Any) -> Any:
    return parse_datetime(value) if type(value) is str else None


def _time(value: Any) -> Any:
    return parse_time(value) if type(value) is str else None


def quantity_of(content: Any) -> Quantity | None:
    """A FHIR Quantity as one of System; None without a value or a UCUM code (R4 fhirpath.html#quantity)."""
    if type(content) is not dict:
        return None
    value = _decimal(content.get("value"))
    code = content.get("code")
    if value is None or content.get("system") != UCUM or type(code) is not str:
        return None
    unit = CALENDAR_OF_UCUM.get(code)
    return Quantity(value, unit, calendar=True) if unit else Quantity(value, code)


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "decimal": _decimal,
    "date": _date,
    "dateTime": _datetime,
    "time": _time,
    "quantity": quantity_of,
}
"""Kind of System value -> from JSON; strings, booleans and integers are what JSON has."""


def system(item: Item) -> Any:
    """The System value of an item; a node without one (a complex element) stays a node, one without value is None."""
    if type(item) is not Node:
        return item
    kind = item.type.system
    if not kind:
        return item
    convert = CONVERSIONS.get(kind)
    if convert is None:
        return item.value
    value = convert(item.value)
    if value is None and kind == "quantity":
        return item
    return value


def describe(value: Any) -> str:
    """The type of an item or System value, for messages."""
    if type(value) is Node:
        return value.type.name
    if type(value) is Temporal:
        return value.kind
    names = {str: "String", bool: "Boolean", int: "Integer", Decimal: "Decimal", Quantity: "Quantity"}
    return names.get(type(value), "type information" if type(value) is TypeName else "value")


def single(items: list[Item]) -> Any:
    """The System value of the only item, None when there is none. Raises EvaluationError for several."""
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationError(f"One item was expected, there are {len(items)}")
    item = items[0]
    return system(item) if type(item) is Node else item


def plain(item: Item) -> Any:
    """The item as JSON has it: System dates and quantities too (docs/fhirpath.md)."""
    if type(item) is Node:
        return item.value
    if type(item) is Temporal:
        return str(item)
    if type(item) is Quantity:
        if item.calendar:
            return {"value": item.value, "unit": item.unit}
        return {"value": item.value, "unit": item.unit, "system": UCUM, "code": item.unit}
    if type(item) is TypeName:
        return {"namespace": item.namespace, "name": item.name}
    return item
