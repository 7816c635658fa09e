"""`near`: places within a distance of a point (R4 location.html#search): composite rows (b latitude, c longitude)."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_server.model.json import LARGEST_EXPONENT
from fhir_server.model.ucum import canonical
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import Matching, any_of, split, unusable
from fhir_server.search.parameters.number import ordered
from fhir_server.storage.query import CompositeMatch, Predicate
from fhir_server.storage.rows import IndexRows

DEFAULT_KILOMETRES = Decimal(50)
"""The distance of a search that gives none; R4 leaves it to the server."""
_METRES_PER_DEGREE = 111_195
"""Of latitude, on a sphere of 6371 km."""


def index_position(rows: IndexRows, p: int, position: dict[str, Any]) -> None:
    latitude, longitude = position.get("latitude"), position.get("longitude")
    if latitude is not None and longitude is not None:
        rows.composites.append((p, 0, ordered(latitude), ordered(longitude), ""))


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Places in the box around the circle asked for: R4 lets a server return more, never fewer."""
    del modifier, matching
    parts: list[Predicate] = []
    for value in values:
        latitude, longitude, metres = _parse(definition.code, value)
        north = metres / _METRES_PER_DEGREE
        east = min(180.0, north / max(math.cos(math.radians(min(89.9, abs(latitude) + north))), 1e-6))
        bands = [(longitude - east, longitude + east)]
        bands += [
            (west + turn, last + turn) for west, last in bands for turn in (-360, 360) if abs(longitude) + east > 180
        ]
        parts += [
            CompositeMatch(
                definition.p,
                b_low=ordered(latitude - north),
                b_high=ordered(latitude + north),
                c_low=ordered(west),
                c_high=ordered(last),
            )
            for west, last in bands
        ]
    return any_of(parts)


def _parse(code: str, value: str) -> tuple[float, float, float]:
    """(latitude, longitude, metres) of `latitude|longitude[|distance[|unit]]`."""
    parts = split(value, "|")
    expected = "a place: write latitude|longitude, latitude|longitude|distance or latitude|longitude|distance|unit"
    if not 2 <= len(parts) <= 4:
        raise unusable(code, value, expected)
    try:
        latitude, longitude = _number(parts[0]), _number(parts[1])
        distance = _number(parts[2]) if len(parts) > 2 and parts[2] else DEFAULT_KILOMETRES
    except InvalidOperation:
        raise unusable(code, value, expected) from None
    metres = canonical(distance, parts[3] if len(parts) == 4 and parts[3] else "km")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and distance >= 0) or metres is None or metres[1] != "m":
        raise unusable(code, value, expected)
    return float(latitude), float(longitude), float(metres[0])


def _number(text: str) -> Decimal:
    """Raises InvalidOperation, also for infinity, what is not a number and what no double can hold."""
    value = Decimal(text)
    if not value.is_finite() or abs(value.adjusted()) > LARGEST_EXPONENT:
        raise InvalidOperation
    return value
