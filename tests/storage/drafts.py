"""Drafts written by hand: the store is tested without parsing, validation or extraction."""

from __future__ import annotations

import json
from typing import Any

from fhir_server import spec
from fhir_server.model.identity import rid, token
from fhir_server.storage.base import Draft
from fhir_server.storage.rows import NO_DATE, IndexRows, parameter

CODE = parameter(spec.parameter_number("Observation", "code"))
STATUS = parameter(spec.parameter_number("Observation", "status"))
SUBJECT = parameter(spec.parameter_number("Observation", "subject"))
DATE = parameter(spec.parameter_number("Observation", "date"))
VALUE = parameter(spec.parameter_number("Observation", "value-quantity"))
IDENTIFIER = parameter(spec.parameter_number("Observation", "identifier"))
DAY = 86_400_000


def draft(resource: dict[str, Any], rows: IndexRows | None = None) -> Draft:
    start = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": {"versionId": "@"}}
    text = json.dumps({**start, **resource}, separators=(",", ":")).encode()
    head, _, tail = text.partition(b'"versionId":"@"')
    return Draft(resource["resourceType"], resource["id"], head, tail, rows or IndexRows())


def observation(
    logical_id: str,
    *,
    code: str = "a",
    patient: str = "p1",
    day: int | None = 0,
    days: int = 1,
    value: int = 0,
    identifier: str = "",
    status: str = "final",
) -> Draft:
    """An Observation on `day` (days since 1970), lasting `days`."""
    low = NO_DATE if day is None else day * DAY
    high = NO_DATE if day is None else low + days * DAY - 1
    numbers = [
        (CODE, token("http://loinc.org", code), 0),
        (STATUS, token("", status), 0),
        (SUBJECT, rid("Patient", patient), 0),
        (VALUE, value, 0),
    ]
    if day is not None:
        numbers.append((DATE, low, high))
    rows = IndexRows(
        k=low,
        k_high=high,
        numbers=numbers,
        texts=[(IDENTIFIER, identifier, 0)] if identifier else [],
        tokens=[(token("http://loinc.org", code), "http://loinc.org", code)],
        compartments=[rid("Patient", patient)],
        features=[value, -value - 1],
    )
    return draft({"resourceType": "Observation", "id": logical_id, "value": value}, rows)
