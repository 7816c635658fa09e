"""`_lastUpdated`: an instant of the store, in microseconds, not a row (R4 search.html#lastUpdated)."""

from __future__ import annotations

from fhir_server.model.dates import OPEN_LOW
from fhir_server.search.matching import Matching, any_of
from fhir_server.search.parameters import date
from fhir_server.storage.query import LastUpdatedRange, Predicate


def match(values: tuple[str, ...], matching: Matching) -> Predicate:
    parts: list[Predicate] = []
    for value in values:
        prefix, low, high = date.parse("_lastUpdated", value, matching.time_zone)
        parts += [LastUpdatedRange(_first(least), _last(most)) for least, most in _moments(prefix, low, high)]
    return any_of(parts)


def _moments(prefix: str, low: int, high: int) -> list[tuple[int | None, int | None]]:
    """Alternatives of (first, last millisecond): a moment is a period of no width, so both its bounds hold for it."""
    found = []
    for start_low, start_high, end_low, end_high in date.period_bounds(prefix, low, high):
        lows = [bound for bound in (start_low, end_low) if bound is not None and bound != OPEN_LOW]
        highs = [bound for bound in (start_high, end_high) if bound is not None]
        found.append((max(lows, default=None), min(highs, default=None)))
    return found


def _first(millisecond: int | None) -> int | None:
    return None if millisecond is None else millisecond * 1000


def _last(millisecond: int | None) -> int | None:
    return None if millisecond is None else millisecond * 1000 + 999
