"""The primary date of each resource type: the order of a patient's timeline and of searches without `_sort`."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from fhir_server import spec
from fhir_server.storage.rows import parameter


@cache
def primary_date(resource_type: str) -> int | None:
    """The row parameter of the type's primary date; None when it has none."""
    code = _codes().get(resource_type)
    return None if code is None else parameter(spec.parameter_number(resource_type, code))


@cache
def _codes() -> dict[str, str]:
    codes: dict[str, str] = json.loads(resources.files(__package__).joinpath("primary_dates.json").read_bytes())
    return codes
