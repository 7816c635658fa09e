"""Sex and age of a patient at the time of the answers, for tables that ask for them.

R4 patient.html: `gender` is administrative; only male and female stand in published tables.
"""

from __future__ import annotations

import calendar
import re
from datetime import date
from typing import Any

from fhir_server.instruments.definition import Subject
from fhir_server.model.reference import ReferenceParts, parse_reference

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?(?:T.*)?", re.ASCII)


def subject_at(patient: dict[str, Any] | None, authored: Any) -> Subject:
    """What is known of `patient` (a Patient, or None) on the day of `authored`, which is read as it was written."""
    if patient is None:
        return Subject()
    gender = patient.get("gender")
    return Subject(gender if gender in ("male", "female") else None, _age(patient.get("birthDate"), authored))


def subject_reference(response: dict[str, Any]) -> ReferenceParts:
    """Whose answers these are; the parts are empty when the response does not say."""
    subject = response.get("subject")
    return parse_reference(str(subject.get("reference")) if isinstance(subject, dict) else "")


def stored_patient_id(response: dict[str, Any]) -> str | None:
    """The id of the Patient of this server that the response is of."""
    reference = subject_reference(response)
    return reference.logical_id if reference.is_local and reference.resource_type == "Patient" else None


def _age(born: Any, authored: Any) -> tuple[int, int] | None:
    """Least and greatest age in whole years; None when a date is missing, or the birth is after the answers."""
    birth, moment = _days(born), _days(authored)
    if birth is None or moment is None:
        return None
    youngest, oldest = _years(birth[1], moment[0]), _years(birth[0], moment[1])
    return None if oldest < 0 else (max(youngest, 0), oldest)


def _days(text: Any) -> tuple[date, date] | None:
    """First and last day that a date of FHIR's precisions can mean."""
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        if year is None or month is None:
            return date(year or 0, 1, 1), date(year or 0, 12, 31)
        last = calendar.monthrange(year, month)[1]
        return date(year, month, day or 1), date(year, month, day or last)
    except ValueError:
        return None


def _years(birth: date, day: date) -> int:
    """Completed years; somebody born on 29 February has a birthday on 1 March in other years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
