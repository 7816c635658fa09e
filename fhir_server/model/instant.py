"""Instants between microseconds since 1970 UTC, FHIR text (R4 datatypes.html#instant) and HTTP dates (RFC 9110 5.6.7)."""

from __future__ import annotations

import time
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

MICROS = 1_000_000


def now() -> int:
    return time.time_ns() // 1000


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def format_instant(micros: int) -> bytes:
    """`2026-11-23T08:00:00.123456Z`"""
    seconds, fraction = divmod(micros, MICROS)
    return b"%s.%06dZ" % (_second(seconds).encode(), fraction)


@lru_cache(maxsize=1024)
def http_date(seconds: int) -> str:
    """`Mon, 23 Nov 2026 08:00:00 GMT`"""
    return formatdate(seconds, usegmt=True)


def parse_http_date(text: str) -> int | None:
    """Seconds since 1970, or None when it is not an HTTP date (RFC 9110 says to ignore those)."""
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
