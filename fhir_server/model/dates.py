"""Dates and times as inclusive ranges of milliseconds since 1970 UTC (R4 datatypes.html#dateTime, search.html#date)."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

OPEN_LOW = -(2**46)
"""Start of a period that has none: before the year 1."""
OPEN_HIGH = 2**48
"""End of a period that has none: after the year 9999."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def period_of(text: str, time_zone: str) -> tuple[int, int] | None:
    """First and last millisecond of a date, dateTime or instant at its own precision; None when it is not one.

    Texts without an offset are read in `time_zone`. Hours and minutes without seconds are allowed
    (R4 search.html#date); a fraction finer than milliseconds is cut.
    """
    if len(text) <= 10:
        return _date_period(text, time_zone)
    try:
        moment = datetime.fromisoformat(text) if len(text) in (20, 25) and text[10] == "T" else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return _time_period(text, time_zone)
    low = milliseconds(moment)
    return low, low + 999


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970 UTC of an aware `moment`, exactly."""
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def zone(name: str) -> ZoneInfo:
    """The time zone `name`. Raises ZoneInfoNotFoundError or ValueError."""
    return ZoneInfo(name)


@lru_cache(maxsize=16384)
def _date_period(text: str, time_zone: str) -> tuple[int, int] | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2] or 1), int(match[3] or 1)
    where = zone(time_zone)
    try:
        start = datetime(year, month, day, tzinfo=where)
        if match[3]:
            last = start
        elif match[2]:
            last = datetime(year, month, monthrange(year, month)[1], tzinfo=where)
        else:
            last = datetime(year, 12, 31, tzinfo=where)
        low = milliseconds(start)
        naive_end = last.replace(hour=23, minute=59, second=59, microsecond=999_000)
    except ValueError:
        return None
    return low, milliseconds(naive_end)


def _time_period(text: str, time_zone: str) -> tuple[int, int] | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    minute, second, fraction, offset = match.groups()
    # A leap second is the last second of its minute: datetime has no 60th.
    seconds = "59" if second == "60" else second or "00"
    try:
        moment = datetime.fromisoformat(f"{minute}:{seconds}{offset or ''}")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone(time_zone))
    low = milliseconds(moment)
    if second is None:
        return low, low + 59_999
    if fraction is None:
        return low, low + 999
    digits = fraction[:3]
    width = 10 ** (3 - len(digits))
    low += int(digits) * width
    return low, low + width - 1
