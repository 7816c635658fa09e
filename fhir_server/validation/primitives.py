"""The primitive types: what JSON value each takes (R4 datatypes.html#primitive), and in words for the refusal.

Regular expressions are R4's, matched as ASCII; those that a hostile string could slow down are replaced by checks
that say the same in linear time.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir_server.model.identity import LONGEST_CACHED
from fhir_server.model.narrative import problem_of

Check = Callable[[Any], bool]

LARGEST_INTEGER = 2_147_483_647
LARGEST_STRING = 1_048_576
"""R4 datatypes.html#string: 1 MB."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DAY = rf"{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])"
_DATE = re.compile(rf"{_YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1]))?)?", re.ASCII)
_DATETIME = re.compile(rf"{_YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T{_CLOCK}{_ZONE})?)?)?", re.ASCII)
_INSTANT = re.compile(rf"{_DAY}T{_CLOCK}{_ZONE}", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_CODE = re.compile(r"[^\s]+(\s[^\s]+)*", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-\.]{1,64}", re.ASCII)
_URI = re.compile(r"\S+", re.ASCII)
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+", re.ASCII)
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_BASE64 = re.compile(r"[0-9A-Za-z+/]*={0,2}", re.ASCII)
_SPACES = {ord(space): None for space in " \t\r\n"}


def _boolean(value: Any) -> bool:
    return type(value) is bool


def _integer(value: Any) -> bool:
    return type(value) is int and -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER


def _unsigned(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_INTEGER


def _positive(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_INTEGER


def _decimal(value: Any) -> bool:
    return type(value) is Decimal or type(value) is int


def _string(value: Any) -> bool:
    if type(value) is not str or not value or value.isspace():
        return False
    return (value.isprintable() or not _CONTROL.search(value)) and len(value) <= LARGEST_STRING


def _markdown(value: Any) -> bool:
    return type(value) is str and bool(value) and not value.isspace() and not _CONTROL.search(value)


def _matches(pattern: re.Pattern[str]) -> Check:
    @lru_cache(maxsize=4096)
    def matches(value: str) -> bool:
        return pattern.fullmatch(value) is not None

    whole = matches.__wrapped__
    return lambda value: type(value) is str and (matches(value) if len(value) <= LONGEST_CACHED else whole(value))


def _calendar(pattern: re.Pattern[str]) -> Check:
    """The pattern, and a day that the month has."""

    @lru_cache(maxsize=4096)
    def matches(value: str) -> bool:
        if pattern.fullmatch(value) is None:
            return False
        day = value[8:10]
        return day <= "28" or int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]

    whole = matches.__wrapped__
    return lambda value: type(value) is str and (matches(value) if len(value) <= LONGEST_CACHED else whole(value))


def _base64(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    if _BASE64.fullmatch(value) and len(value) % 4 == 0:
        return True
    bare = value.translate(_SPACES)
    return bool(bare) and len(bare) % 4 == 0 and _BASE64.fullmatch(bare) is not None


def _xhtml(value: Any) -> bool:
    return type(value) is str and problem_of(value) is None


_uri = _matches(_URI)

CHECKS: dict[str, Check] = {
    "boolean": _boolean,
    "integer": _integer,
    "unsignedInt": _unsigned,
    "positiveInt": _positive,
    "decimal": _decimal,
    "string": _string,
    "markdown": _markdown,
    "code": _matches(_CODE),
    "id": _matches(_ID),
    "uri": _uri,
    "url": _uri,
    "canonical": _uri,
    "oid": _matches(_OID),
    "uuid": _matches(_UUID),
    "date": _calendar(_DATE),
    "dateTime": _calendar(_DATETIME),
    "instant": _calendar(_INSTANT),
    "time": _matches(_TIME),
    "base64Binary": _base64,
    "xhtml": _xhtml,
}
"""Type name -> whether a JSON value is one."""

EXPECTED = {
    "boolean": "true or false, without quotes",
    "integer": "a whole number of 32 bits, without quotes",
    "unsignedInt": "a whole number from 0 to 2147483647, without quotes",
    "positiveInt": "a whole number from 1 to 2147483647, without quotes",
    "decimal": "a number, without quotes",
    "string": "a string that is not blank, without control characters, of at most 1 MB",
    "markdown": "a string that is not blank, without control characters",
    "code": "a string without leading, trailing or double white space",
    "id": "1 to 64 characters of A-Z, a-z, 0-9, - and .",
    "uri": "a string without white space",
    "url": "a string without white space",
    "canonical": "a string without white space",
    "oid": "urn:oid: followed by an OID",
    "uuid": "urn:uuid: followed by a UUID in lower case",
    "date": "a date of the calendar: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "a date, or YYYY-MM-DDThh:mm:ss with a time zone such as Z or +01:00",
    "instant": "YYYY-MM-DDThh:mm:ss with a time zone such as Z or +01:00",
    "time": "hh:mm:ss",
    "base64Binary": "base64",
    "xhtml": "well-formed XHTML",
}
"""Type name -> what it takes, for people."""
