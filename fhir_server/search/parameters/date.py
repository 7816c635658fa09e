"""Dates and periods as number rows (first millisecond, last millisecond) (R4 search.html#date)."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from fhir_server.model.dates import OPEN_HIGH, OPEN_LOW, period_of
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import Matching, any_of, prefix_of, unescape, unusable
from fhir_server.search.parameters import presence
from fhir_server.search.primary import primary_date
from fhir_server.storage.query import PeriodRange, Predicate
from fhir_server.storage.rows import IndexRows

MOST_APPROXIMATE = 31
"""`ap` widens by a tenth of the gap between now and the date, by at most this many days: R4 search.html#date
keeps 21 January 2013 from being near 14 March 2013 whenever it is asked."""

_DAY = 86_400_000


def index_date(rows: IndexRows, p: int, value: str, time_zone: str) -> None:
    """A date, dateTime or instant."""
    period = period_of(value, time_zone)
    if period is not None:
        rows.numbers.append((p, *period))


def index_instant(rows: IndexRows, p: int, value: str, time_zone: str) -> None:
    """R4 search.html#date: an instant has no width."""
    period = period_of(value, time_zone)
    if period is not None:
        rows.numbers.append((p, period[0], period[0]))


def index_period(rows: IndexRows, p: int, value: dict[str, Any], time_zone: str) -> None:
    period = bounds(value, time_zone)
    if period is not None:
        rows.numbers.append((p, *period))
    else:
        presence.note(rows, p, value)


def index_timing(rows: IndexRows, p: int, value: dict[str, Any], time_zone: str) -> None:
    """The outer limits of a schedule: its events and its bounding period."""
    periods = [period_of(event, time_zone) for event in value.get("event") or () if event]
    bounding = (value.get("repeat") or {}).get("boundsPeriod")
    if bounding:
        periods.append(bounds(bounding, time_zone))
    known = [period for period in periods if period is not None]
    if known:
        rows.numbers.append((p, min(low for low, _ in known), max(high for _, high in known)))
    else:
        presence.note(rows, p, value)


def bounds(period: dict[str, Any], time_zone: str) -> tuple[int, int] | None:
    """First and last millisecond of a Period, open where it has no start or end; None when it has neither."""
    start = period_of(period.get("start") or "", time_zone)
    end = period_of(period.get("end") or "", time_zone)
    if start is None and end is None:
        return None
    return start[0] if start else OPEN_LOW, end[1] if end else OPEN_HIGH


def range_of(value: Any, type_name: str, time_zone: str) -> tuple[int, int] | None:
    """The range of one element, for composites."""
    return bounds(value, time_zone) if type_name == "Period" else period_of(value, time_zone)


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    primary = primary_date(definition.resource_type)
    parts: list[Predicate] = []
    for value in values:
        prefix, low, high = parse(definition.code, value, matching.time_zone)
        for source in definition.sources:
            parts += [
                PeriodRange(source.p, *bound, primary=primary is not None and source.p == primary)
                for bound in period_bounds(prefix, low, high)
            ]
    return any_of(parts)


def parse(code: str, value: str, time_zone: str) -> tuple[str, int, int]:
    """(prefix, first millisecond, last millisecond) of a search value. Raises InvalidSearch."""
    prefix, rest = prefix_of(unescape(value))
    # An unencoded + of an offset arrives as a space.
    period = period_of(rest.replace(" ", "+"), time_zone)
    if period is None:
        raise unusable(
            code,
            value,
            "a date: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][Z|+hh:mm] after an optional prefix",
        )
    return prefix, *period


def period_bounds(prefix: str, low: int, high: int) -> list[tuple[int | None, int | None, int | None, int | None]]:
    """Alternatives of (start_low, start_high, end_low, end_high) for a search range (R4 search.html#prefix)."""
    match prefix:
        case "eq":
            return [(low, high, low, high)]
        case "ne":
            return [(OPEN_LOW, low - 1, None, None), (OPEN_LOW, None, high + 1, None)]
        case "gt":
            return [(OPEN_LOW, None, high + 1, None)]
        case "ge":
            return [(OPEN_LOW, None, low, None)]
        case "lt":
            return [(OPEN_LOW, low - 1, None, None)]
        case "le":
            return [(OPEN_LOW, high, None, None)]
        case "sa":
            return [(high + 1, None, None, None)]
        case "eb":
            return [(OPEN_LOW, None, None, low - 1)]
    margin = _margin(low // _DAY, int(time.time()) // 86_400)
    return [(OPEN_LOW, high + margin, low - margin, None)]


@lru_cache(maxsize=1024)
def _margin(day: int, today: int) -> int:
    """Milliseconds by which `ap` widens; counted in whole days so that the pages of a search agree."""
    return min(abs(today - day) * _DAY // 10, MOST_APPROXIMATE * _DAY)
