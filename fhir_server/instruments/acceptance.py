"""Whether a response as a whole may be scored: whose, when, in what state, on which questionnaire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from fhir_server.errors import Issue
from fhir_server.instruments.definition import Instrument
from fhir_server.model.dates import milliseconds, period_of

SCORABLE = ("in-progress", "completed", "amended", "stopped")
"""All of R4's questionnaire-answers-status but entered-in-error."""

_CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a client's clock may be ahead of ours."""

_DATE_TIME = re.compile(r"[^T]+|.+(Z|[+-]\d\d:\d\d)", re.ASCII)
"""R4 datatypes.html#dateTime: a time has a zone."""


def refusals(instrument: Instrument, response: dict[str, Any], now: datetime) -> Iterator[Issue]:
    """Every reason why `response` is not scored, apart from its answers."""
    if response.get("status") not in SCORABLE:
        yield Issue(
            "business-rule",
            f"A response with status {response.get('status')!r} is not scored, only {', '.join(SCORABLE)}.",
            "QuestionnaireResponse.status",
        )
    yield from _subject_refusals(response.get("subject"))
    yield from _date_refusals(response.get("authored"), now)
    yield from _version_refusals(instrument, response.get("questionnaire"))


def _subject_refusals(subject: Any) -> Iterator[Issue]:
    expression = "QuestionnaireResponse.subject.reference"
    reference = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(reference, str):
        yield Issue("required", "A score needs the reference of its subject.", expression)
    elif reference.split("/")[-2:-1] != ["Patient"]:
        yield Issue("business-rule", "The subject of a score is a Patient: refer to it as Patient/[id].", expression)


def _date_refusals(authored: Any, now: datetime) -> Iterator[Issue]:
    expression = "QuestionnaireResponse.authored"
    if authored is None:
        yield Issue("required", "A score without the time of the answers has no place in a course.", expression)
        return
    earliest = _earliest(authored, now)
    if earliest is None:
        yield Issue("value", "authored is not a FHIR dateTime.", expression)
    elif earliest > milliseconds(now + _CLOCK_TOLERANCE):
        yield Issue("business-rule", "authored lies in the future: correct it.", expression)


def _earliest(authored: Any, now: datetime) -> int | None:
    """The first millisecond `authored` can mean; a date without a zone is one of the zone of `now`."""
    if not isinstance(authored, str) or not _DATE_TIME.fullmatch(authored):
        return None
    period = period_of(authored, str(now.tzinfo))
    return period[0] if period else None


def _version_refusals(instrument: Instrument, canonical: Any) -> Iterator[Issue]:
    url, _, version = canonical.partition("|") if isinstance(canonical, str) else ("", "", "")
    if url == instrument.url and version == instrument.version:
        return
    yield Issue(
        "business-rule",
        f"The response names {canonical!r}; the rules here are those of {instrument.canonical}. "
        "Forms of one instrument with other codes give other numbers, so the version must be named and right.",
        "QuestionnaireResponse.questionnaire",
    )
