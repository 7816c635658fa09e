"""Stored score Observations as series: what a chart of one score on one side needs of each.

Read from the Observations that `instruments.observation` makes; others may have edited them, so nothing in them is
taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from fhir_server.instruments.change import (
    IN_ERROR,
    Change,
    Measurement,
    NoChange,
    changes,
    thresholds_of,
)
from fhir_server.instruments.definition import Instrument, Score
from fhir_server.model.dates import period_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """One value at one time; its side and time-point are among the facts of `measurement`."""

    observation: Json
    measurement: Measurement
    change: Change | NoChange
    baseline: Json | None
    """The Observation that the change is counted from."""


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one score on one side, in the order of time."""

    score: Score
    side: str | None
    points: tuple[Point, ...]
    left_out: tuple[tuple[Json, str], ...]
    """Observations that cannot be plotted, with the reason."""


def series_of(
    instrument: Instrument, score: Score, observations: Iterable[Json], *, time_zone: str, allow_unverified: bool
) -> list[Series]:
    """The series of `score`, by side, of one patient's Observations of it, in any order.

    All of the patient's must be given: the baseline, and whether the sides are certain, depend on them.
    """
    base = instrument.canonical_base
    left_out: dict[str | None, list[tuple[Json, str]]] = {}
    usable: list[tuple[Measurement, Json]] = []
    for observation in observations:
        side = extension_code(observation, base, "msk-laterality")
        period = period_of(str(observation.get("effectiveDateTime", "")), time_zone)
        if observation.get("status") == IN_ERROR:
            left_out.setdefault(side, []).append((observation, "entered in error"))
        elif period is None:
            left_out.setdefault(side, []).append((observation, "without effectiveDateTime"))
        else:
            usable.append((_measurement(observation, base, period[0], side), observation))
    usable.sort(key=lambda one: one[0].start)
    measurements = [measurement for measurement, _ in usable]
    thresholds = thresholds_of(instrument.metadata, score.name, allow_unverified=allow_unverified)
    points: dict[str | None, list[Point]] = {}
    found = changes(measurements, score.direction, thresholds)
    for (measurement, observation), change in zip(usable, found, strict=True):
        baseline = usable[change.baseline][1] if isinstance(change, Change) else None
        points.setdefault(measurement.side, []).append(Point(observation, measurement, change, baseline))
    sides = sorted({*points, *left_out}, key=lambda side: side or "")
    return [Series(score, side, tuple(points.get(side, ())), tuple(left_out.get(side, ()))) for side in sides]


def displayed(value: Decimal, decimals: int) -> str:
    """Rounded half up, as a score is shown."""
    return f"{value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)}"


def extension_code(resource: Json, canonical_base: str, name: str) -> str | None:
    """The code of the first extension `name` of ours."""
    url = f"{canonical_base}/StructureDefinition/{name}"
    return next((str(one["valueCode"]) for one in resource.get("extension", ()) if _is(one, url)), None)


def _is(extension: Json, url: str) -> bool:
    return extension.get("url") == url and "valueCode" in extension


def _measurement(observation: Json, base: str, start: int, side: str | None) -> Measurement:
    return Measurement(
        start=start,
        value=_number(observation),
        status=str(observation.get("status")),
        side=side,
        method=_rules(observation),
        timepoint=extension_code(observation, base, "msk-timepoint"),
    )


def _number(observation: Json) -> Decimal | None:
    quantity = observation.get("valueQuantity", {})
    value = quantity.get("value")
    comparable = isinstance(value, int | Decimal) and "comparator" not in quantity
    return Decimal(value) if comparable else None


def _rules(observation: Json) -> str:
    """Algorithm, its version and the checksum of rules and Questionnaire (`method`), and the unit of the value.

    Without a method nothing is known, and it is like no other.
    """
    method = observation.get("method")
    if not method:
        return f"unknown, of Observation/{observation.get('id')}"
    codes = [(coding.get("system"), coding.get("code")) for coding in method.get("coding", ())]
    return repr((codes, method.get("text"), observation.get("valueQuantity", {}).get("code")))
