"""A population of synthetic MSK patients: most with few resources, some with two thousand.

Patient n of a seed is the same however many are asked for, and every reference points backward, so that a
stream may be cut anywhere. Ids start with `s<seed>-`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice

from fhir_server.synthetic import care, measurements
from fhir_server.synthetic.directory import Directory, build_directory
from fhir_server.synthetic.parts import Json
from fhir_server.synthetic.record import Record
from fhir_server.synthetic.referral import beginning, condition
from fhir_server.synthetic.responses import scored_response

FEWEST = 5
MOST = 2000
TAIL = 1.1
"""Exponent of the Pareto distribution of record sizes: mean about 28."""


def generate(seed: int = 1, *, patients: int | None = None, resources: int | None = None) -> Iterator[Json]:
    """Resources of the first `patients` patients, or the first `resources` resources, of the population `seed`.

    Both may be given (whichever ends first) or neither (endless). The organizations and practitioners come first.
    """
    return islice(_population(seed, patients), resources)


def patient_record(seed: int, number: int, directory: Directory) -> Iterator[Json]:
    """All resources of patient `number`, oldest first."""
    size = record_size(seed, number)
    record = Record(seed, number, directory, size)
    made = beginning(record, seed)
    yield from made
    left = size - len(made)
    while left > 0:
        events = record.random.choices(_EVENTS, cum_weights=_CUMULATIVE)[0](record)[:left]
        yield from events
        left -= len(events)


def record_size(seed: int, number: int) -> int:
    """How many resources patient `number` has."""
    uniform = ((number * 2_654_435_761 + seed * 40_503) % 2**32 + 0.5) / 2**32
    return min(int(FEWEST * uniform ** (-1 / TAIL)), MOST)


def _population(seed: int, patients: int | None) -> Iterator[Json]:
    directory = build_directory(seed)
    yield from directory.resources()
    for number in count() if patients is None else range(patients):
        yield from patient_record(seed, number, directory)


def _one(make: Callable[[Record], Json]) -> Callable[[Record], list[Json]]:
    return lambda record: [make(record)]


_MIX: tuple[tuple[Callable[[Record], list[Json]], int], ...] = (
    (_one(measurements.laboratory_result), 420),
    (_one(measurements.vital_sign), 120),
    (_one(measurements.blood_pressure), 50),
    (scored_response, 90),
    (_one(care.appointment), 80),
    (_one(care.message), 60),
    (_one(care.letter), 50),
    (_one(care.procedure), 30),
    (_one(condition), 25),
    (_one(care.step), 30),
    (care.plan_with_steps, 12),
)
_EVENTS = [event for event, _ in _MIX]
_CUMULATIVE = [sum(weight for _, weight in _MIX[: place + 1]) for place in range(len(_MIX))]
