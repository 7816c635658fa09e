"""The ranges that dates, numbers and quantities stand for, and the prefixes that compare them.

R4 search.html#prefix, #date, #number, #quantity, with the readings search-1 to search-4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY = 86_400_000


class Refused(Exception):
    """The search is to be answered with 400."""


@dataclass(frozen=True)
class Span:
    """From `low` to `high`, both included; None is open."""

    low: Any
    high: Any


def prefix_of(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def date_span(text: str, zone: str) -> Span | None:
    """First and last millisecond of a date, dateTime or instant; None when it is none."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        where = _zone(offset, zone)
        if month is None:
            return _until(datetime(int(year), 1, 1, tzinfo=where), datetime(int(year) + 1, 1, 1, tzinfo=where))
        if day is None:
            following = (int(year) + int(month) // 12, int(month) % 12 + 1)
            return _until(datetime(int(year), int(month), 1, tzinfo=where), datetime(*following, 1, tzinfo=where))
        date = datetime(int(year), int(month), int(day), tzinfo=where)
        if hour is None:
            return _until(date, date + timedelta(days=1))
        start = date.replace(hour=int(hour), minute=int(minute))
        if second is None:
            return Span(_milliseconds(start), _milliseconds(start) + 59_999)
        # A leap second counts as the second before it (search-2).
        low = _milliseconds(start) + 1000 * min(int(second), 59)
        if int(second) > 60:
            return None
        if fraction is None:
            return Span(low, low + 999)
        point = low + int(fraction[:3].ljust(3, "0"))
        return Span(point, point)
    except (ValueError, OverflowError):
        return None


def _zone(offset: str | None, zone: str) -> Any:
    if offset is None:
        return ZoneInfo(zone)
    if offset == "Z":
        return UTC
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
    return timezone(-ahead if offset[0] == "-" else ahead)


def _milliseconds(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // _MILLISECOND


def _until(start: datetime, end: datetime) -> Span:
    return Span(_milliseconds(start), _milliseconds(end) - 1)


def period_span(period: dict[str, Any], zone: str) -> Span | None:
    """From the first moment of its start to the last of its end; None when it has neither."""
    start, end = (date_span(period[key], zone) if key in period else None for key in ("start", "end"))
    if start is None and end is None:
        return None
    return Span(start.low if start else None, end.high if end else None)


def timing_span(timing: dict[str, Any], zone: str) -> Span | None:
    """The outer limits of a schedule."""
    spans = [date_span(event, zone) for event in timing.get("event", [])]
    spans.append(period_span(timing.get("repeat", {}).get("boundsPeriod", {}), zone))
    known = [span for span in spans if span is not None]
    if not known:
        return None
    lows, highs = [span.low for span in known], [span.high for span in known]
    return Span(None if None in lows else min(lows), None if None in highs else max(highs))


def compare(prefix: str, target: Span, search: Span) -> bool:
    """Whether `target` stands to `search` as `prefix` says (table of search-1; `ap`: any overlap)."""
    inf = float("inf")
    low = -inf if target.low is None else target.low
    high = inf if target.high is None else target.high
    inside = search.low <= low and high <= search.high
    return {
        "eq": inside,
        "ne": not inside,
        "gt": high > search.high,
        "lt": low < search.low,
        "ge": high >= search.low,
        "le": low <= search.high,
        "sa": low > search.high,
        "eb": high < search.low,
        "ap": low <= search.high and high >= search.low,
    }[prefix]


def approximate_date(search: Span, zone: str) -> Span:
    """A tenth of the gap to today on either side, 31 days at most (search-1)."""
    del zone
    today = _milliseconds(datetime.now(UTC)) // _DAY
    gap = abs(today - search.low // _DAY) * _DAY
    margin = min(gap // 10, 31 * _DAY)
    return Span(search.low - margin, search.high + margin)


@dataclass(frozen=True)
class Number:
    """A number as searched: exact, and half of its last place to either side."""

    exact: Fraction
    half: Fraction

    def times(self, factor: Fraction) -> Number:
        return Number(self.exact * factor, self.half * factor)


def number(text: str) -> Number | None:
    """None when `text` is no number. An exponential one of one digit counts as having two (search-3)."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, decimals, exponent = match[1], match[2], match[3] or "", match[4]
    if exponent is not None and abs(int(exponent)) > 400:
        return None
    last_place = Fraction(10) ** (int(exponent or 0) - len(decimals))
    exact = int(whole + decimals) * last_place * (-1 if sign == "-" else 1)
    if exponent is not None and len((whole + decimals).lstrip("0")) <= 1:
        last_place /= 10
    return Number(exact, last_place / 2)


def compare_number(prefix: str, low: Fraction | None, high: Fraction | None, searched: Number) -> bool:
    """Whether a stored number (low == high) or Range stands to the searched number as `prefix` says.

    eq and ne use the range of the precision, without its upper end; other prefixes the exact number (R4
    search.html#number: treated as if of arbitrarily high precision); ap is a tenth to either side.
    """
    lowest = -float("inf") if low is None else low
    highest = float("inf") if high is None else high
    exact = searched.exact
    inside = exact - searched.half <= lowest and highest < exact + searched.half
    margin = abs(exact) / 10
    return {
        "eq": inside,
        "ne": not inside,
        "gt": highest > exact,
        "lt": lowest < exact,
        "ge": highest >= exact,
        "le": lowest <= exact,
        "sa": lowest > exact,
        "eb": highest < exact,
        "ap": lowest <= exact + margin and highest >= exact - margin,
    }[prefix]
