"""Numbers as integers in the order of their doubles (R4 search.html#number).

A Range is a composite row (b low, c high).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.search.definitions import Definition
from fhir_server.search.matching import Matching, any_of, prefix_of, unescape, unusable
from fhir_server.search.parameters import presence
from fhir_server.storage.query import CompositeMatch, NumberRange, Predicate
from fhir_server.storage.rows import IndexRows

_NUMBER = re.compile(r"[+-]?(\d+)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_BITS = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF
LEAST = -_MAGNITUDE
"""Below every number: the low end of a Range that has none."""
GREATEST = _MAGNITUDE
"""Above every number."""


def ordered(value: Decimal | int | float) -> int:
    """A signed 64-bit integer that orders like the double nearest to `value`.

    Rounding to the nearest double keeps the order of decimals, so a comparison of two mapped decimals is
    wrong only when they differ by less than a double can tell (17 digits).
    """
    double = float(value)
    bits: int = _BITS.unpack(_DOUBLE.pack(double or 0.0))[0]
    return bits if bits >= 0 else bits ^ _MAGNITUDE


def index(rows: IndexRows, p: int, value: Decimal | int | float) -> None:
    rows.numbers.append((p, ordered(value), 0))


def index_range(rows: IndexRows, p: int, value: dict[str, Any]) -> None:
    """The whole extent of a Range, open where it has no end."""
    low, high = ((value.get(end) or {}).get("value") for end in ("low", "high"))
    if low is None and high is None:
        presence.note(rows, p, value)
    else:
        lowest = LEAST if low is None else ordered(low)
        rows.composites.append((p, 0, lowest, GREATEST if high is None else ordered(high), ""))


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    del modifier, matching
    parts: list[Predicate] = []
    for value in values:
        prefix, number, half = parse(definition.code, value)
        for source in definition.sources:
            for low, high in ranges(prefix, number, half):
                parts.append(NumberRange(source.p, low, high))
                if "Range" in definition.element_types:
                    parts.append(CompositeMatch(source.p, **extent_bounds(low, high, prefix)))
    return any_of(parts)


def extent_bounds(low: int | None, high: int | None, prefix: str) -> dict[str, Any]:
    """The extent b..c of a Range against the bound of a point (R4 search.html#prefix, the reading for ranges).

    eq holds the whole extent, sa and eb want all of it beyond the value, the others some of it.
    """
    if prefix in ("sa", "eb") or (low is not None and high is not None and prefix != "ap"):
        return {"b_low": low, "c_high": high}
    return {"b_high": high, "c_low": low}


def parse(code: str, value: str) -> tuple[str, Decimal, Decimal]:
    """(prefix, number, half of its last digit's place). Raises InvalidSearch."""
    prefix, rest = prefix_of(unescape(value))
    match = _NUMBER.fullmatch(rest)
    if match is None:
        raise unusable(
            code, value, "a number: write digits, with a fraction or an exponent if need be, after an optional prefix"
        )
    number = Decimal(rest)
    return prefix, number, half_of_last_place(number, exponential=match[3] is not None)


def half_of_last_place(number: Decimal, *, exponential: bool) -> Decimal:
    """Half a unit of the last place written: 100 -> 0.5, 100.00 -> 0.005, 5.40e-3 -> 0.000005.

    R4 search.html#number reads 1e2 as [95, 105): an exponential number of one digit counts as having two.
    """
    exponent = int(number.as_tuple().exponent)
    if exponential and len(number.as_tuple().digits) == 1:
        exponent -= 1
    return Decimal(5).scaleb(exponent - 1)


def ranges(
    prefix: str, number: Decimal, half: Decimal, convert: Callable[[Decimal], int] = ordered
) -> list[tuple[int | None, int | None]]:
    """Alternatives of inclusive (low, high) over `ordered` values for a search value (R4 search.html#prefix).

    `convert` maps a decimal to the order; it must be monotone.
    """
    match prefix:
        case "eq":
            return [(convert(number - half), convert(number + half) - 1)]
        case "ne":
            return [(None, convert(number - half) - 1), (convert(number + half), None)]
        case "gt" | "sa":
            return [(convert(number) + 1, None)]
        case "lt" | "eb":
            return [(None, convert(number) - 1)]
        case "ge":
            return [(convert(number), None)]
        case "le":
            return [(None, convert(number))]
    tenth = abs(number) / 10
    return [(convert(number - tenth), convert(number + tenth))]
