"""Quantities as number rows, as written and in UCUM base units (R4 search.html#quantity).

As written: v the number, w one of its unit's names, a row for each: symbol("|code"), symbol("|unit"), and
symbol("system|code") unless UCUM knows the code: then there is a canonical row (v in base units, w = symbol(base
units)). A Range is a composite row (a unit, b low, c high).
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import LONGEST_CACHED, symbol
from fhir_server.model.ucum import canonical
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import Matching, any_of, split, unescape, unusable
from fhir_server.search.parameters import number, presence
from fhir_server.storage.query import CompositeMatch, NumberRange, Predicate
from fhir_server.storage.rows import VARIANT_CANONICAL, IndexRows

UCUM = "http://unitsofmeasure.org"
CURRENCIES = "urn:iso:std:iso:4217"
"""System of Money.currency (R4 datatypes.html#Money)."""

Bound = tuple[int | None, int | None, int | None]
"""(low, high, w) of a NumberRange."""


def index(rows: IndexRows, p: int, quantity: dict[str, Any]) -> None:
    _index_entries(rows, p, quantity, entries(quantity))


def index_money(rows: IndexRows, p: int, money: dict[str, Any]) -> None:
    currency = money.get("currency")
    amount = {"value": money.get("value"), "system": CURRENCIES if currency else None, "code": currency}
    _index_entries(rows, p, money, entries(amount))


def _index_entries(rows: IndexRows, p: int, element: dict[str, Any], found: list[tuple[int, int, int]]) -> None:
    rows.numbers += [(p + variant, v, w) for variant, v, w in found]
    if not found:
        presence.note(rows, p, element)


def index_range(rows: IndexRows, p: int, value: dict[str, Any]) -> None:
    """One composite row for each name of the unit."""
    found = extents(value)
    rows.composites += [(p + variant, w, lowest, highest, "") for variant, lowest, highest, w in found]
    if not found:
        presence.note(rows, p, value)


def extents(value: dict[str, Any]) -> list[tuple[int, int, int, int]]:
    """(variant, low, high, w) of each name of a Range's unit: its whole extent, open where it has no end."""
    lows = {(variant, w): v for variant, v, w in entries(value.get("low") or {})}
    highs = {(variant, w): v for variant, v, w in entries(value.get("high") or {})}
    return [
        (variant, lows.get((variant, w), number.LEAST), highs.get((variant, w), number.GREATEST), w)
        for variant, w in lows.keys() | highs.keys()
    ]


def entries(quantity: dict[str, Any]) -> list[tuple[int, int, int]]:
    """(variant, v, w) of each row of a quantity; none without a value. The comparator is not considered."""
    value = quantity.get("value")
    if value is None:
        return []
    system, code, unit = quantity.get("system") or "", quantity.get("code") or "", quantity.get("unit") or ""
    find = _entries if len(system) + len(code) + len(unit) <= LONGEST_CACHED else _entries.__wrapped__
    return find(value, system, code, unit)


@lru_cache(maxsize=16384)
def _entries(value: Decimal | int | float, system: str, code: str, unit: str) -> list[tuple[int, int, int]]:
    v = number.ordered(value)
    if system == UCUM and code:
        base = canonical(value if isinstance(value, Decimal) else Decimal(str(value)), code)
        if base is not None:
            named = [(0, v, symbol(f"|{name}")) for name in dict.fromkeys((code, unit or code))]
            return [*named, (VARIANT_CANONICAL, number.ordered(base[0]), symbol(base[1]))]
    names = [f"{system}|{code}"] if system and code else []
    names += [f"|{name}" for name in (code, unit) if name]
    return [(0, v, symbol(name)) for name in dict.fromkeys(names)] or [(0, v, 0)]


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    del modifier, matching
    parts: list[Predicate] = []
    ranged = "Range" in definition.element_types
    for value in values:
        for variant, bound in search_bounds(definition.code, value):
            for source in definition.sources:
                parts.append(NumberRange(source.p + variant, *bound))
                if ranged:
                    low, high, w = bound
                    unit = None if w is None else (w,)
                    parts.append(
                        CompositeMatch(source.p + variant, a=unit, **number.extent_bounds(low, high, value[:2]))
                    )
    return any_of(parts)


def search_bounds(code: str, value: str) -> list[tuple[int, Bound]]:
    """Alternatives of (variant, bound) for `[prefix]number[|system|code]`."""
    parts = split(value, "|")
    if len(parts) not in (1, 3):
        raise unusable(code, value, "a quantity: write number, number|system|code or number||unit")
    prefix, amount, half = number.parse(code, parts[0])
    as_written = number.ranges(prefix, amount, half)
    if len(parts) == 1 or not (parts[1] or parts[2]):
        return [(0, (low, high, None)) for low, high in as_written]
    system, unit = unescape(parts[1]), unescape(parts[2])
    if not unit:
        raise InvalidSearch(
            f"The search parameter '{code}' needs a unit code after the system '{system}': write number|system|code."
        )
    if system == UCUM and (in_base := _canonical_ranges(prefix, amount, half, unit)):
        return in_base
    w = symbol(f"{system}|{unit}")
    return [(0, (low, high, w)) for low, high in as_written]


def _canonical_ranges(prefix: str, amount: Decimal, half: Decimal, unit: str) -> list[tuple[int, Bound]]:
    base = canonical(amount, unit)
    if base is None:
        return []

    def convert(value: Decimal) -> int:
        converted = canonical(value, unit)
        assert converted is not None
        return number.ordered(converted[0])

    w = symbol(base[1])
    return [(VARIANT_CANONICAL, (low, high, w)) for low, high in number.ranges(prefix, amount, half, convert)]
