"""Instants as numbers, FHIR text and HTTP dates (R4 datatypes.html#instant, RFC 9110 section 5.6.7)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.instant import MICROS, format_instant, http_date, now, parse_http_date, parse_instant

EIGHT = 1_795_420_800
"""2026-11-23T08:00:00Z, a Monday."""


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, b"1970-01-01T00:00:00.000000Z"),
        (1, b"1970-01-01T00:00:00.000001Z"),
        (-1, b"1969-12-31T23:59:59.999999Z"),
        (EIGHT * MICROS + 123_456, b"2026-11-23T08:00:00.123456Z"),
        (951_827_696_000_000, b"2000-02-29T12:34:56.000000Z"),
    ],
)
def test_an_instant_is_written_in_utc_to_the_microsecond(micros: int, text: bytes) -> None:
    assert format_instant(micros) == text
    assert parse_instant(text.decode()) == micros


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year >= 1000))
def test_writing_and_reading_agree_with_the_calendar(moment: datetime) -> None:
    micros = parse_instant(moment.isoformat())
    assert micros is not None
    assert format_instant(micros).decode() == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-23T08:00:00Z", EIGHT * MICROS),
        ("2026-11-23T09:00:00+01:00", EIGHT * MICROS),
        ("2026-11-22T18:00:00-14:00", EIGHT * MICROS),
        ("2026-11-23T08:00:00-00:00", EIGHT * MICROS),
        ("2026-11-23T08:00:00.5Z", EIGHT * MICROS + 500_000),
        ("2026-11-23T08:00:00.12Z", EIGHT * MICROS + 120_000),
        ("2026-11-23T08:00:00.1234567899Z", EIGHT * MICROS + 123_456),
        ("1969-12-31T23:59:59.9999999Z", -1),
    ],
)
def test_an_instant_may_have_any_zone_and_any_number_of_digits(text: str, micros: int) -> None:
    assert parse_instant(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T08:00Z",
        "2026-11-23T08:00:00",
        "2026-11-23 08:00:00Z",
        "2026-11-23T08:00:00z",
        "2026-11-23T08:00:00.Z",
        "2026-11-23T08:00:00+0100",
        "2026-11-23T08:00:00+01",
        "2026-11-23T08:00:00Z ",
        "2026-11-23T08:00:00Z\n",
        "2026-02-29T08:00:00Z",
        "2026-13-01T08:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T08:60:00Z",
        "2026-11-23T08:00:00+99:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "٢٠٢٦-11-23T08:00:00Z",
        "20261123T080000Z",
    ],
)
def test_anything_else_is_no_instant(text: str) -> None:
    assert parse_instant(text) is None


def test_now_is_the_clock_in_microseconds() -> None:
    before = time.time()
    found = now()
    assert before - 1 < found / MICROS < time.time() + 1


def test_an_http_date_is_in_gmt_to_the_second() -> None:
    assert http_date(EIGHT) == "Mon, 23 Nov 2026 08:00:00 GMT"
    assert http_date(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.fixture(params=["UTC", "America/New_York"])
def clock_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The zone of the machine."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("clock_zone")
@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["IMF-fixdate", "RFC 850", "asctime"],
)
def test_each_form_of_an_http_date_is_read_as_gmt(text: str) -> None:
    assert parse_http_date(text) == 784_111_777


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
    ],
)
def test_anything_else_is_no_http_date(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.integers(0, 4_000_000_000))
def test_http_dates_are_read_back(seconds: int) -> None:
    assert parse_http_date(http_date(seconds)) == seconds


@given(st.text(max_size=40))
def test_no_text_makes_reading_fail(text: str) -> None:
    parse_instant(text)
    parse_http_date(text)
