"""Dates, dateTimes and times at their own precision (http://hl7.org/fhirpath/N1/#date, #datetime-arithmetic)."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache

_DATE = r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?"
_TIME = r"(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?"
_DATETIME = re.compile(rf"{_DATE}(T(?:{_TIME}(Z|[+-]\d\d:\d\d)?)?)?", re.ASCII)
_TIME_ONLY = re.compile(rf"T?{_TIME}", re.ASCII)
_LONGEST = 64
EARLIEST_ZONE = 14 * 60
"""Offset in minutes where a day begins first: the low boundary of a dateTime without one."""
LATEST_ZONE = -12 * 60

YEAR, MONTH, DAY, HOUR, MINUTE, SECOND = range(1, 7)
"""Precision of a date or dateTime: how many of its parts are known."""


@dataclass(frozen=True, slots=True)
class Temporal:
    """A System Date, DateTime or Time."""

    kind: str
    """date, dateTime or time"""
    parts: tuple[int, ...]
    """Year, month, day, hour, minute, second (a time starts with the hour) as far as they are known."""
    fraction: str = ""
    """Digits of the fraction of a second."""
    offset: int | None = None
    """Minutes east of UTC."""

    @property
    def precision(self) -> int:
        return len(self.parts) + (3 if self.kind == "time" else 0)

    def __str__(self) -> str:
        if self.kind == "time":
            return _clock(self.parts, self.fraction)
        date = "-".join(f"{part:0{2 if n else 4}}" for n, part in enumerate(self.parts[:3]))
        if self.kind == "date":
            return date
        clock = _clock(self.parts[3:], self.fraction)
        return f"{date}T{clock}{_zone(self.offset)}" if clock else f"{date}"

    def components(self) -> tuple[int | Decimal, ...]:
        """The parts, seconds with their fraction as one."""
        if self.fraction and self.precision == SECOND:
            return (*self.parts[:-1], Decimal(f"{self.parts[-1]}.{self.fraction}"))
        return self.parts

    def at_utc(self, offset: int | None = None) -> Temporal:
        """The same moment at UTC; `offset` stands for a missing one. Out of the calendar it stays as it is."""
        minutes = self.offset if self.offset is not None else offset
        if not minutes or self.kind != "dateTime" or self.precision < HOUR:
            return self
        try:
            moment = _moment(self.parts) - timedelta(minutes=minutes)
        except OverflowError:
            return self
        return Temporal("dateTime", _parts(moment)[: self.precision], self.fraction, 0)


def _zone(offset: int | None) -> str:
    if offset is None:
        return ""
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}" if offset else "Z"


def _clock(parts: tuple[int, ...], fraction: str) -> str:
    text = ":".join(f"{part:02}" for part in parts)
    return f"{text}.{fraction}" if fraction else text


def _moment(parts: tuple[int, ...]) -> datetime:
    year, month, day, hour, minute, second = (*parts, *(0, 1, 1, 0, 0, 0)[len(parts) :])
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _parts(moment: datetime) -> tuple[int, ...]:
    return (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)


@lru_cache(maxsize=8192)
def parse_date(text: str) -> Temporal | None:
    """`2012`, `2012-04`, `2012-04-15`"""
    found = parse_datetime(text)
    return Temporal("date", found.parts) if found and "T" not in text else None


@lru_cache(maxsize=8192)
def parse_datetime(text: str) -> Temporal | None:
    """A date, or one with `T`, with or without a time and offset."""
    match = _DATETIME.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    year, month, day, clock, hour, minute, second, fraction, zone = match.groups()
    if clock and hour and not day:
        return None
    parts = tuple(int(part) for part in (year, month, day, hour, minute, second) if part is not None)
    offset = None
    if zone is not None:
        offset = 0 if zone == "Z" else int(zone[:1] + "1") * (int(zone[1:3]) * 60 + int(zone[4:6]))
        if abs(offset) > EARLIEST_ZONE:
            return None
    leap = len(parts) == SECOND and parts[5] == 60
    try:
        # The calendar's own check; R4 instants may have a leap second, which datetime has not.
        _moment((*parts[:5], 59) if leap else parts)
    except ValueError:
        return None
    return Temporal("dateTime", parts, fraction or "", offset)


@lru_cache(maxsize=2048)
def parse_time(text: str) -> Temporal | None:
    """`14`, `14:34`, `14:34:28.123`, also after a `T`"""
    match = _TIME_ONLY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    hour, minute, second, fraction = match.groups()
    parts = tuple(int(part) for part in (hour, minute, second) if part is not None)
    if parts[0] > 23 or any(part > 59 for part in parts[1:]):
        return None
    return Temporal("time", parts, fraction or "")


def compare(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1; None when the precisions or a missing offset leave it open. Both times, or neither."""
    if left.kind == right.kind == "dateTime" and left.precision >= HOUR and right.precision >= HOUR:
        if (left.offset is None) != (right.offset is None):
            return _compare_across_zones(left, right)
        left, right = left.at_utc(), right.at_utc()
    ours, theirs = left.components(), right.components()
    for a, b in zip(ours, theirs, strict=False):
        if a != b:
            return -1 if a < b else 1
    return 0 if len(ours) == len(theirs) else None


def _compare_across_zones(left: Temporal, right: Temporal) -> int | None:
    """One has no offset: decided only when it is so wherever that one is."""
    first = compare(left.at_utc(EARLIEST_ZONE), _zoned(right.at_utc(EARLIEST_ZONE)))
    last = compare(left.at_utc(LATEST_ZONE), _zoned(right.at_utc(LATEST_ZONE)))
    return first if first == last != 0 else None


def _zoned(value: Temporal) -> Temporal:
    return value if value.offset is not None else Temporal(value.kind, value.parts, value.fraction, 0)


_LADDER = {"year": 0, "month": 1, "week": 2, "day": 2, "hour": 3, "minute": 4, "second": 5, "millisecond": 6}
_IN_DAYS = {"week": 7, "day": 1}
_IN_SECONDS = {
    "week": Decimal(604_800),
    "day": Decimal(86_400),
    "hour": Decimal(3600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}


def add(value: Temporal, amount: Decimal, unit: str) -> Temporal | None:
    """`value` moved by `amount` calendar units; None when that leaves the years 1 to 9999.

    Decimals count for seconds alone; a unit finer than the value is brought to the value's precision first.
    """
    if unit not in ("second", "millisecond"):
        amount = Decimal(int(amount))
    try:
        if value.kind == "time":
            return _add_to_time(value, amount * _IN_SECONDS[unit])
        precision = value.precision
        if unit in ("year", "month"):
            return _add_months(value, int(amount) * (12 if unit == "year" else 1))
        seconds = amount * _IN_SECONDS[unit]
        if precision == YEAR:
            return _add_months(value, int(seconds / 86_400 / 365) * 12)
        if precision == MONTH:
            return _add_months(value, int(seconds / 86_400 / 30))
        if precision <= MINUTE:
            step = (86_400, 3600, 60)[precision - DAY]
            seconds = Decimal(int(seconds / step) * step)
        return _add_seconds(value, seconds)
    except (OverflowError, ValueError):
        return None


def _add_months(value: Temporal, months: int) -> Temporal:
    year, month = value.parts[0], value.parts[1] if len(value.parts) > 1 else 1
    if value.precision == YEAR:
        months = int(Decimal(months) / 12) * 12
    year, month = divmod(year * 12 + month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    rest = value.parts[2:]
    if rest:
        rest = (min(rest[0], monthrange(year, month + 1)[1]), *rest[1:])
    parts = (year, month + 1, *rest)[: value.precision]
    return Temporal(value.kind, parts, value.fraction, value.offset)


def _add_seconds(value: Temporal, seconds: Decimal) -> Temporal:
    whole, fraction = _carry(value.fraction, seconds)
    moment = _moment((*value.parts[:5], min(value.parts[5], 59)) if value.precision == SECOND else value.parts)
    moved = _parts(moment + timedelta(seconds=whole))
    return Temporal(value.kind, moved[: value.precision], fraction, value.offset)


def _add_to_time(value: Temporal, seconds: Decimal) -> Temporal:
    """Times go round the clock."""
    step = (3600, 60, 1)[len(value.parts) - 1]
    if step > 1:
        seconds = Decimal(int(seconds / step) * step)
    whole, fraction = _carry(value.fraction, seconds)
    hour, minute, second = (*value.parts, 0, 0)[:3]
    total = (hour * 3600 + minute * 60 + second + whole) % 86_400
    parts = (total // 3600, total // 60 % 60, total % 60)[: len(value.parts)]
    return Temporal("time", parts, fraction)


def _carry(fraction: str, seconds: Decimal) -> tuple[int, str]:
    """Whole seconds to add, and the fraction that comes of it, in no fewer digits than before."""
    total = Decimal(f"0.{fraction or '0'}") + seconds
    whole = int(total.to_integral_value(rounding="ROUND_FLOOR"))
    rest = (total - whole).normalize()
    digits = max(len(fraction), -int(rest.as_tuple().exponent) if rest else 0)
    if digits == 0:
        return whole, ""
    return whole, f"{rest.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN):f}"[2:]
