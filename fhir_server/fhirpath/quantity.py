"""System.Quantity (http://hl7.org/fhirpath/N1/#quantity): UCUM units and calendar durations, exact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from fhir_server.fhirpath.numbers import CONTEXT, decimals, plain
from fhir_server.model import ucum

CALENDAR_UNITS = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
_UCUM_OF_CALENDAR = {
    "year": "a",
    "month": "mo",
    "week": "wk",
    "day": "d",
    "hour": "h",
    "minute": "min",
    "second": "s",
    "millisecond": "ms",
}
CALENDAR_OF_UCUM = {code: unit for unit, code in _UCUM_OF_CALENDAR.items()}
"""R4 fhirpath.html#quantity: a FHIR Quantity in these units becomes a calendar duration."""

_INEXACT = ("year", "month")
"""Calendar units that are of no definite length: `1 year` is not comparable with `1 'a'`."""
_DAYS = {"year": Decimal(365), "month": Decimal(30)}
_TEXT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']+)'|([a-z]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quantity:
    value: Decimal
    unit: str
    """A UCUM code, or with `calendar` a calendar unit in the singular."""
    calendar: bool = False

    def __str__(self) -> str:
        if not self.calendar:
            return f"{plain(self.value)} '{self.unit}'"
        return f"{plain(self.value)} {self.unit}{'' if self.value == 1 else 's'}"


def calendar_unit(word: str) -> str | None:
    """`days` and `day` are `day`; None for other words."""
    singular = word.removesuffix("s")
    return singular if singular in CALENDAR_UNITS else None


def parse_quantity(text: str) -> Quantity | None:
    """`5.4 'mg'`, `1 day`, `4` (N1 toQuantity)."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    value = Decimal(match[1])
    if match[3]:
        unit = calendar_unit(match[3])
        return Quantity(value, unit, calendar=True) if unit else None
    return Quantity(value, match[2] or "1")


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1; None when the units cannot be compared."""
    pair = _comparable(left, right)
    if pair is None:
        return None
    return (pair[0] > pair[1]) - (pair[0] < pair[1])


def comparable(left: Quantity, right: Quantity) -> bool:
    """Whether the units are of one dimension."""
    return _comparable(left, right) is not None


def equal(left: Quantity, right: Quantity) -> bool | None:
    if left.unit == right.unit and left.calendar == right.calendar:
        return left.value == right.value
    order = compare(left, right)
    if order is not None:
        return order == 0
    # Dimensions that differ are not equal; what cannot be compared for want of a definite length is unknown.
    both_times = _time_like(left) and _time_like(right)
    return None if both_times or not _known(left) or not _known(right) else False


def equivalent(left: Quantity, right: Quantity) -> bool:
    """Equal when rounded to the less precise of the two; a calendar year is like `1 'a'`."""
    ours, theirs = _canonical(_definite(left)), _canonical(_definite(right))
    if ours is None or theirs is None:
        return left.unit == right.unit and left.value == right.value
    if ours[1] != theirs[1]:
        return False
    step = max(_step(left), _step(right))
    if not step:
        return ours[0] == theirs[0]
    return _in_steps(ours[0], step) == _in_steps(theirs[0], step)


def key(value: Quantity) -> tuple[object, ...]:
    """The same for equal quantities."""
    canonical = None if value.calendar and value.unit in _INEXACT else _canonical(_definite(value))
    if canonical is None:
        return ("quantity", value.value, value.unit, value.calendar)
    return ("quantity", *canonical)


def convert(value: Quantity, unit: Quantity) -> Decimal | None:
    """The value in the unit of `unit`; None when the dimensions differ."""
    if value.unit == unit.unit and value.calendar == unit.calendar:
        return value.value
    one = Quantity(Decimal(1), unit.unit, unit.calendar)
    pair = _comparable(value, one)
    return CONTEXT.divide(*pair) if pair and pair[1] else None


def multiply(left: Quantity, right: Quantity) -> Quantity | None:
    value = CONTEXT.multiply(left.value, right.value)
    if right.unit == "1":
        return Quantity(value, left.unit, left.calendar)
    if left.unit == "1":
        return Quantity(value, right.unit, right.calendar)
    return _reduced(value, f"({_code(left)}).({_code(right)})")


def divide(left: Quantity, right: Quantity) -> Quantity | None:
    if not right.value:
        return None
    value = CONTEXT.divide(left.value, right.value)
    if right.unit == "1":
        return Quantity(value, left.unit, left.calendar)
    if left.unit == right.unit:
        return Quantity(value, "1")
    return _reduced(value, f"({_code(left)})/({_code(right)})")


def _reduced(value: Decimal, code: str) -> Quantity | None:
    canonical = ucum.canonical(value, code)
    return Quantity(*canonical) if canonical else None


def _code(quantity: Quantity) -> str:
    return _UCUM_OF_CALENDAR[quantity.unit] if quantity.calendar else quantity.unit


def _definite(quantity: Quantity) -> Quantity:
    return Quantity(quantity.value, _code(quantity)) if quantity.calendar else quantity


def _canonical(quantity: Quantity) -> tuple[Decimal, str] | None:
    return ucum.canonical(quantity.value, quantity.unit)


def _known(quantity: Quantity) -> bool:
    return _canonical(_definite(quantity)) is not None


def _time_like(quantity: Quantity) -> bool:
    canonical = _canonical(_definite(quantity))
    return canonical is not None and canonical[1] == "s"


def _comparable(left: Quantity, right: Quantity) -> tuple[Decimal, Decimal] | None:
    """Both values in one unit."""
    if left.calendar and right.calendar:
        return _calendar_pair(left, right)
    for one, other in ((left, right), (right, left)):
        if one.calendar and one.unit in _INEXACT and not other.calendar:
            return None
    ours, theirs = _canonical(_definite(left)), _canonical(_definite(right))
    if ours is None or theirs is None:
        return (left.value, right.value) if left.unit == right.unit and left.calendar == right.calendar else None
    return (ours[0], theirs[0]) if ours[1] == theirs[1] else None


def _calendar_pair(left: Quantity, right: Quantity) -> tuple[Decimal, Decimal]:
    if left.unit in _INEXACT and right.unit in _INEXACT:
        months = {"year": 12, "month": 1}
        return left.value * months[left.unit], right.value * months[right.unit]
    return _seconds(left), _seconds(right)


def _seconds(quantity: Quantity) -> Decimal:
    if quantity.unit in _DAYS:
        return quantity.value * _DAYS[quantity.unit] * 86_400
    canonical = _canonical(_definite(quantity))
    assert canonical is not None
    return canonical[0]


def _step(quantity: Quantity) -> Decimal:
    """How much the last digit of the value stands for, in base units; 0 where units have an offset."""
    definite = _definite(quantity)
    unit = Decimal(1).scaleb(-decimals(quantity.value))
    one, zero = ucum.canonical(unit, definite.unit), ucum.canonical(Decimal(0), definite.unit)
    return one[0] - zero[0] if one and zero else Decimal(0)


def _in_steps(value: Decimal, step: Decimal) -> Decimal:
    return CONTEXT.divide(value, step).to_integral_value(context=CONTEXT)
