"""Reading a response that has nothing wrong with it, a few microseconds an item.

Whatever is not plainly right gives None: then `answers` and `acceptance` read it, who can say what is wrong. Both read
the same, as a property test over random responses shows.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from fhir_server.instruments.acceptance import SCORABLE
from fhir_server.instruments.definition import TOP, Instrument, Item, Place, Reading
from fhir_server.instruments.values import UnreadableError, read_value

_MOMENT = re.compile(
    r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)", re.ASCII
).fullmatch
_DAYS = 2
"""Answers of so many days ago are not of the future, whatever the zones."""
_PATIENT = re.compile(r"Patient/[A-Za-z0-9\-.]{1,64}", re.ASCII).fullmatch


def quick_readings(
    instrument: Instrument,
    response: dict[str, Any],
    now: datetime,
    unread: dict[str, list[dict[str, Any]]] | None = None,
) -> dict[str, Reading] | None:
    """The readings by linkId; None when `response` is to be looked at closely.

    `unread` takes the answers to items that are part of no score.
    """
    try:
        readings: dict[str, Reading] = {}
        unread = {} if unread is None else unread
        if (
            not instrument.conditional
            and _acceptable(instrument, response, now)
            and _read_items(instrument.items, response["item"], TOP, readings, unread)
        ):
            return readings
    except (KeyError, TypeError, AttributeError, ValueError, UnreadableError):
        return None
    return None


def _acceptable(instrument: Instrument, response: dict[str, Any], now: datetime) -> bool:
    authored = response["authored"]
    return (
        response["questionnaire"] == instrument.canonical
        and response["status"] in SCORABLE
        and _PATIENT(response["subject"]["reference"]) is not None
        and authored[10:11] == "T"
        and _MOMENT(authored, 11) is not None
        and (now.date() - _day(authored[:10])).days >= _DAYS
    )


def _read_items(
    questions: dict[str, Item],
    items: list[dict[str, Any]],
    place: Place,
    readings: dict[str, Reading],
    unread: dict[str, list[dict[str, Any]]],
) -> bool:
    for item in items:
        link_id = item["linkId"]
        question = questions[link_id]
        if link_id in readings or link_id in unread or question.place != place:
            return False
        answers = item.get("answer")
        if answers is None:
            unread[link_id] = []
            if "item" in item and not _read_items(questions, item["item"], Place(link_id), readings, unread):
                return False
            continue
        if len(answers) != 1 or "item" in item:
            return False
        (answer,) = answers
        if len(answer) != 1:
            return False
        if not question.type:
            if "item" in answer:
                return False
            unread[link_id] = answers
        elif question.codings is not None:
            coding = answer["valueCoding"]
            readings[link_id] = question.codings[coding["system"], coding["code"]]
        else:
            readings[link_id] = read_value(question, answer, list(answer))
    return True


@lru_cache(maxsize=4096)
def _day(text: str) -> date:
    return date.fromisoformat(text)
