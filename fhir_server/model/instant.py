"""Instants: microseconds since 1970 UTC, FHIR text (R4 datatypes.html#instant), HTTP dates (RFC 9110 5.6.7)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

MICROS = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FINER = re.compile(r"(\.\d{6})\d+")


def now() -> int:
    return time.time_ns() // 1000


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def format_instant(micros: int) -> bytes:
    """`2026-11-23T08:00:00.123456Z`"""
    seconds, fraction = divmod(micros, MICROS)
    return b"%s.%06dZ" % (_second(seconds).encode(), fraction)


def parse_instant(text: str) -> int | None:
    """Microseconds of an instant with seconds and a zone; None for anything else. Finer digits are cut.

    One that UTC would put outside of the years 1 to 9999 is none.
    """
    if not _INSTANT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(_FINER.sub(r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=1024)
def http_date(seconds: int) -> str:
    """`Mon, 23 Nov 2026 08:00:00 GMT`"""
    return formatdate(seconds, usegmt=True)


def parse_http_date(text: str) -> int | None:
    """Seconds since 1970, or None when it is not an HTTP date (RFC 9110 says to ignore those)."""
    try:
        moment = parsedate_to_datetime(text)
        # The old asctime form names no zone: it is GMT.
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def moment_of(text: str) -> datetime:
    """The moment that an ISO 8601 text names. Raises ValueError for another text, or one without offset from UTC."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError("it has no offset from UTC")
    return moment
