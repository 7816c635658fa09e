"""When a step is due: days counted from an event or from another step, repeated or not, and the window around them.

The anchor and the window are extensions of ours on PlanDefinition.action (msk-step-anchor, msk-window); the others are
R4's relatedAction and timingTiming (plandefinition.html).
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fhir_server.errors import BusinessRule


@dataclass(frozen=True, slots=True)
class Window:
    """The days on which a step may be done, both included."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Anchor:
    """`offset` days after an event of the pathway."""

    event: str
    offset: int


@dataclass(frozen=True, slots=True)
class Follow:
    """`offset` days after another action, of the same definition, ended or (`from_start`) was due."""

    action: str
    from_start: bool
    offset: int
    place: str = ""
    """FHIRPath to where the definition says so."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How much later than the first the n-th of a repeat is due."""

    months: int = 0
    days: int = 0

    def after(self, day: date) -> date:
        """Months are of the calendar: a day that the month does not have is its last. Raises OverflowError."""
        if self.months:
            year, month = divmod(day.year * 12 + day.month - 1 + self.months, 12)
            if not 1 <= year <= 9999:
                raise OverflowError
            day = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
        return day + timedelta(self.days)


@dataclass(frozen=True, slots=True)
class Around:
    """How many days before and after the day it is due a step may be done."""

    before: int = 0
    after: int = 0

    def window(self, due: date) -> Window | None:
        """None when it leaves the calendar: the years 1 to 9999."""
        try:
            return Window(due - timedelta(self.before), due + timedelta(self.after))
        except OverflowError:
            return None


AT_ONCE = Delay()
ON_THE_DAY = Around()


def later(day: date, days: int, delay: Delay) -> date | None:
    """None outside the calendar."""
    try:
        return delay.after(day + timedelta(days))
    except OverflowError:
        return None


def read_anchor(extension: dict[str, Any] | None, expression: str) -> Anchor | None:
    """Raises BusinessRule (422)."""
    if extension is None:
        return None
    parts = _parts(extension)
    try:
        return Anchor(parts["event"]["valueCode"], days(parts["offset"]["valueDuration"]))
    except (KeyError, ValueError) as error:
        raise _unreadable(expression) from error


def read_around(extension: dict[str, Any] | None, expression: str) -> Around:
    """Raises BusinessRule (422)."""
    if extension is None:
        return ON_THE_DAY
    parts = _parts(extension)
    try:
        return Around(days(parts["before"]["valueDuration"]), days(parts["after"]["valueDuration"]))
    except (KeyError, ValueError) as error:
        raise _unreadable(expression) from error


_DAYS = {"d": 1, "wk": 7}
_MONTHS = {"mo": 1, "a": 12}
_REPEAT = {"count", "boundsDuration", "frequency", "period", "periodUnit"}


def read_repeat(timing: dict[str, Any], place: str, most: int) -> list[Delay]:
    """How much later than the first each time is (R4 datatypes.html#Timing.repeat): `count` times, or as often as
    `boundsDuration` has room for, whichever ends sooner.

    Raises BusinessRule (422) for what is not carried out, no end, and more than `most` times.
    """
    repeat = timing.get("repeat", {})
    unknown = [key for key in timing if key != "repeat"] + [key for key in repeat if key not in _REPEAT]
    if unknown:
        raise _unrepeatable(f"{unknown[0]} is not carried out", place, "not-supported")
    unit, period = repeat.get("periodUnit"), repeat.get("period")
    if repeat.get("frequency", 1) != 1 or unit not in (*_DAYS, *_MONTHS) or not period or period != int(period):
        raise _unrepeatable("it is once every whole period of d, wk, mo or a", place, "not-supported")
    each = _delay(int(period), unit)
    ends = [repeat["count"]] if "count" in repeat else []
    if "boundsDuration" in repeat:
        ends.append(_times(repeat["boundsDuration"], each, place))
    if not ends:
        raise _unrepeatable("it needs an end: count or boundsDuration", place)
    if not 1 <= min(ends) <= most:
        raise _unrepeatable(f"{min(ends)} times are not 1 to {most}", place)
    return [Delay(each.months * n, each.days * n) for n in range(min(ends))]


def _times(bounds: dict[str, Any], each: Delay, place: str) -> int:
    """How many begin before the bounds end."""
    unit, value = bounds.get("code"), bounds.get("value")
    if unit not in (*_DAYS, *_MONTHS) or not value or value != int(value):
        raise _unrepeatable("boundsDuration is a whole number of d, wk, mo or a", place)
    length = _delay(int(value), unit)
    if (length.months > 0) != (each.months > 0):
        raise _unrepeatable("months and days have no common measure: give both in d and wk, or in mo and a", place)
    return -(-max(length.months, length.days) // max(each.months, each.days))


def _delay(number: int, unit: str) -> Delay:
    return Delay(number * _MONTHS.get(unit, 0), number * _DAYS.get(unit, 0))


def _unrepeatable(reason: str, place: str, code: str = "business-rule") -> BusinessRule:
    return BusinessRule(
        f"The repeat of the action cannot be expanded: {reason}.", code=code, expression=f"{place}.timing"
    )


def days(duration: dict[str, Any]) -> int:
    """Raises KeyError or ValueError for anything but whole days."""
    if duration["code"] != "d" or duration["value"] != int(duration["value"]):
        raise ValueError("not a whole number of days")
    return int(duration["value"])


def _parts(extension: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["url"]: part for part in extension.get("extension", [])}


def _unreadable(expression: str) -> BusinessRule:
    return BusinessRule(
        "The timing of the step cannot be read: msk-step-anchor needs event and offset, msk-window before and "
        "after, in whole days (UCUM d).",
        expression=f"{expression}.extension",
    )
