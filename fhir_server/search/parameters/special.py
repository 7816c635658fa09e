"""`near`: places within a distance of a point (R4 location.html#search): composite rows (a, b, c), a point in space.

The point is that of the position on the WGS84 ellipsoid, which R4 names, in millimetres from the Earth's centre. What
lies within a distance over ground lies within the straight line that belongs to it, so that no SQL needs more than
squares, and neither the poles nor the date line are special.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_server.model.json import LARGEST_EXPONENT
from fhir_server.model.ucum import canonical
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import Matching, any_of, split, unusable
from fhir_server.search.parameters import presence
from fhir_server.storage.query import CompositeMatch, Predicate
from fhir_server.storage.rows import IndexRows

DEFAULT_KILOMETRES = Decimal(50)
"""The distance of a search that gives none; R4 leaves it to the server."""
_EQUATOR = 6_378_137_000.0
"""Millimetres: the semi-major axis of WGS84."""
_FLATTENED = 6.694379990141e-3
"""The square of its first eccentricity."""
_MEAN = 6_371_008_800.0
"""Millimetres: the mean radius, by which a distance over ground becomes a straight line."""
_ROUNDING = 2
"""Millimetres by which three rounded coordinates, of two points, may be off together."""


def index_position(rows: IndexRows, p: int, position: dict[str, Any]) -> None:
    latitude, longitude = position.get("latitude"), position.get("longitude")
    if latitude is not None and longitude is not None:
        rows.composites.append((p, *_point(float(latitude), float(longitude)), ""))
    else:
        presence.note(rows, p, position)


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Places in the circle around the point, on the ellipsoid (half a per cent from one on a sphere)."""
    del modifier, matching
    parts: list[Predicate] = []
    for value in values:
        latitude, longitude, metres = _parse(definition.code, value)
        parts.append(CompositeMatch(definition.p, within=(*_point(latitude, longitude), _straight(metres))))
    return any_of(parts)


def _point(latitude: float, longitude: float) -> tuple[int, int, int]:
    """Millimetres from the centre towards 0 degrees, 90 degrees east and north."""
    north, east = math.radians(latitude), math.radians(longitude)
    upright = _EQUATOR / math.sqrt(1 - _FLATTENED * math.sin(north) ** 2)
    outward = upright * math.cos(north)
    return (
        round(outward * math.cos(east)),
        round(outward * math.sin(east)),
        round(upright * (1 - _FLATTENED) * math.sin(north)),
    )


def _straight(metres: float) -> int:
    """The straight line, in millimetres, between places this far from each other over ground."""
    angle = metres * 1000 / _MEAN
    return math.ceil(2 * (_MEAN * math.sin(angle / 2) if angle < math.pi else _EQUATOR)) + _ROUNDING


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
