"""The pieces many synthetic resources share: references, codings, narrative, dates."""

from __future__ import annotations

from datetime import date, timedelta
from html import escape
from typing import Any

Json = dict[str, Any]

FIRST_DAY = date(2014, 1, 1)
LAST_DAY = 4_500
"""Newest day of an event, counted from FIRST_DAY (April 2026): fixed, so that a seed always gives the same data."""
DAYS = [(FIRST_DAY + timedelta(days)).isoformat() for days in range(LAST_DAY + 800)]


def moment(minutes: float) -> str:
    """An instant `minutes` after FIRST_DAY, as FHIR dateTime in UTC."""
    day, minute = divmod(int(minutes), 1440)
    return f"{DAYS[day]}T{minute // 60:02d}:{minute % 60:02d}:00Z"


def reference(resource: Json) -> Json:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def concept(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def narrative(sentence: str) -> Json:
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(sentence)}</p></div>',
    }
