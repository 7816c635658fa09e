"""Dates as ranges of milliseconds (R4 search.html#date), checked with the standard library's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.dates import OPEN_HIGH, OPEN_LOW, period_of

DAY = 86_400_000


def test_a_date_is_its_day_month_or_year() -> None:
    assert period_of("1970-01-01", "UTC") == (0, DAY - 1)
    assert period_of("1970-02", "UTC") == (31 * DAY, 59 * DAY - 1)
    assert period_of("1972", "UTC") == (730 * DAY, 1096 * DAY - 1)
    assert period_of("2024-02", "UTC") == (1706745600000, 1709251199999)


def test_a_time_is_as_wide_as_it_is_written() -> None:
    assert period_of("1970-01-01T00:01", "UTC") == (60_000, 119_999)
    assert period_of("1970-01-01T00:00:01Z", "UTC") == (1000, 1999)
    assert period_of("1970-01-01T00:00:01.5Z", "UTC") == (1500, 1599)
    assert period_of("1970-01-01T00:00:01.25Z", "UTC") == (1250, 1259)
    assert period_of("1970-01-01T00:00:01.123456Z", "UTC") == (1123, 1123)
    assert period_of("1970-01-01T01:00:00+01:00", "UTC") == (0, 999)


def test_dates_and_times_without_a_zone_are_in_the_servers() -> None:
    # British Summer Time: 2013-07-01 began at 23:00 UTC of the day before.
    assert period_of("2013-07-01", "Europe/London") == (1372633200000, 1372633200000 + DAY - 1)
    assert period_of("2013-07-01T00:00:00", "Europe/London") == (1372633200000, 1372633200999)
    # The day the clocks go forward has 23 hours.
    low, high = period_of("2024-03-31", "Europe/London") or (0, 0)
    assert high - low + 1 == 23 * 3_600_000


def test_a_leap_second_is_the_last_second_of_its_minute() -> None:
    assert period_of("2016-12-31T23:59:60Z", "UTC") == period_of("2016-12-31T23:59:59Z", "UTC")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "2024-13",
        "2024-02-30",
        "2024-1-1",
        "0000",
        "2024-01-01T",
        "2024-01-01T10",
        "2024-01-01T25:00Z",
        "2024-01-01 10:00:00Z",
        "20240101T100000Z",
        "2024-W01-1",
        "２０２４",
        "2024-01-01T10:00:00+25:00",
    ],
)
def test_anything_else_is_not_a_date(text: str) -> None:
    assert period_of(text, "UTC") is None


@pytest.mark.parametrize("text", ["0001", "0001-01-01", "9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59Z"])
def test_the_ends_of_the_calendar_lie_between_the_open_ends(text: str) -> None:
    for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles"):
        low, high = period_of(text, zone) or (0, 0)
        assert OPEN_LOW < low < high < OPEN_HIGH


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)))
def test_a_day_ends_where_the_next_begins(day: date) -> None:
    today, tomorrow = (
        period_of(day.isoformat(), "Europe/London"),
        period_of((day + timedelta(1)).isoformat(), "Europe/London"),
    )
    assert today is not None
    assert tomorrow is not None
    assert today[1] + 1 == tomorrow[0]


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)), st.times())
def test_a_moment_lies_in_its_day_month_and_year(day: date, clock: time) -> None:
    moment = datetime.combine(day, clock, UTC)
    text = moment.replace(microsecond=0).isoformat()
    low, high = period_of(text, "UTC") or (0, 0)
    assert high - low == 999
    for wider in (text[:10], text[:7], text[:4]):
        first, last = period_of(wider, "UTC") or (0, 0)
        assert first <= low <= high <= last
