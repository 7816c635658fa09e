"""How far a score has changed since its baseline, signed so that better is positive, and which thresholds that reaches.

A pure function of one patient's stored values of one score. What cannot be compared for certain is refused with a
reason: another side or one not named, other rules, a value that is not final. The rules are those of
docs/instruments.md#change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.instruments.definition import Direction

COMPLETE = ("final", "amended", "corrected")
"""R4 valueset-observation-status.html: the values that are not to change any more, or were put right."""
IN_ERROR = "entered-in-error"
BASELINES = ("baseline", "pre-op")
"""Codes of msk-timepoint that start a course."""
SIDES = ("left", "right")
BILATERAL = "bilateral"

_OF_IMPROVEMENT = ("MIC", "MID", "MCID", "MCII", "major improvement")
"""Least changes that matter to patients: reached by getting better."""
_OF_MAGNITUDE = ("MDC", "SDC", "reliable change", "measurement error")
"""Least changes beyond the error of measurement: reached either way."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A stored score, as far as its change depends on it."""

    start: int
    """The first millisecond that its time can mean."""
    value: Decimal | None
    """None where there is no number: absent, or a stratum."""
    status: str
    side: str | None
    """Code of msk-laterality."""
    method: str
    """What identifies the rules and the questionnaire: equal for values that may be compared."""
    timepoint: str | None
    """Code of msk-timepoint."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A published change of an individual's score; MIC and MDC are different things."""

    kind: str
    value: Decimal
    population: str
    method: str
    source: str
    doi: str | None
    evidence: str
    low: Decimal | None = None
    high: Decimal | None = None
    """The range of baselines it was found for; None: open."""

    def applies_to(self, baseline: Decimal) -> bool:
        return (self.low is None or self.low <= baseline) and (self.high is None or baseline <= self.high)

    @property
    def either_way(self) -> bool:
        return self.kind.startswith(_OF_MAGNITUDE)

    def is_met_by(self, improvement: Decimal) -> bool:
        return (abs(improvement) if self.either_way else improvement) >= self.value


@dataclass(frozen=True, slots=True)
class Change:
    """`improvement` is positive when the patient is better than at the baseline."""

    baseline: int
    """Index of the measurement it is counted from."""
    improvement: Decimal
    thresholds: tuple[tuple[Threshold, bool], ...]
    """Each with whether it is met."""


@dataclass(frozen=True, slots=True)
class NoChange:
    """Why a measurement has no change."""

    code: str
    reason: str


_THE_BASELINE = NoChange("baseline", "This is the baseline.")
_BEFORE = NoChange("before-baseline", "Measured before the baseline.")
_TWO = NoChange("ambiguous-baseline", "Two different values have the time of the baseline: correct one of them.")


def thresholds_of(metadata: dict[str, Any], score: str, *, allow_unverified: bool) -> tuple[Threshold, ...]:
    """The thresholds of instrument.json that apply to one person's change of `score`.

    Those known from memory only are left out unless `allow_unverified` says otherwise, as all such rules are.
    """
    usable = ("source-checked", "secondary", *(("memory",) if allow_unverified else ()))
    return tuple(_thresholds((entry for entry in metadata["mic"] if entry["evidence"] in usable), score))


def _thresholds(entries: Iterable[dict[str, Any]], score: str) -> Iterator[Threshold]:
    for entry in entries:
        kind, value = str(entry["kind"]), entry["value"]
        if entry["scope"] != "individual" or entry.get("score", score) != score:
            continue
        if kind.startswith((*_OF_IMPROVEMENT, *_OF_MAGNITUDE)) and isinstance(value, int | Decimal):
            yield Threshold(
                kind,
                Decimal(value),
                entry["population"],
                entry["method"],
                entry["source"],
                entry.get("doi"),
                entry["evidence"],
                *(None if end is None else Decimal(end) for end in map(entry.get("baseline", {}).get, ("low", "high"))),
            )


def changes(
    measurements: Sequence[Measurement], direction: Direction, thresholds: Sequence[Threshold] = ()
) -> list[Change | NoChange]:
    """The change of each of a patient's measurements of one score, on whatever side, in any order."""
    ambiguous = _ambiguity({one.side for one in measurements if one.status != IN_ERROR})
    return [
        _unusable(one) or ambiguous or _change(measurements, index, direction, thresholds)
        for index, one in enumerate(measurements)
    ]


def _ambiguity(sides: set[str | None]) -> NoChange | None:
    """One side named and another not may be the same knee, or not; so may both and one of them."""
    if sides <= set(SIDES) or sides in ({None}, {BILATERAL}):
        return None
    named = ", ".join(sorted(side or "no side" for side in sides))
    return NoChange(
        "ambiguous-side",
        f"The values of this score are of {named}: which belong together is not certain. "
        "Name the side of each response (msk-laterality) and score it again.",
    )


def _unusable(one: Measurement) -> NoChange | None:
    if one.status not in COMPLETE:
        return NoChange("not-final", f"The status is {one.status}; only {', '.join(COMPLETE)} values are compared.")
    if one.value is None:
        return NoChange("no-number", "There is no number to compare.")
    return None


def _change(
    measurements: Sequence[Measurement], index: int, direction: Direction, thresholds: Sequence[Threshold]
) -> Change | NoChange:
    one = measurements[index]
    found = _baseline(measurements, index)
    if isinstance(found, NoChange):
        return found
    baseline = measurements[found]
    if baseline.method != one.method:
        return NoChange(
            "other-rules", "The baseline was scored by other rules or on another questionnaire: score both by the same."
        )
    assert one.value is not None
    assert baseline.value is not None
    improvement = one.value - baseline.value if direction == "higher-better" else baseline.value - one.value
    applying = [each for each in thresholds if each.applies_to(baseline.value)]
    return Change(found, improvement, tuple((each, each.is_met_by(improvement)) for each in applying))


def _baseline(measurements: Sequence[Measurement], index: int) -> int | NoChange:
    """The last one marked as such by the time of the measurement; where none is marked, the earliest that is final."""
    one = measurements[index]
    own = [i for i, each in enumerate(measurements) if each.side == one.side and each.status != IN_ERROR]
    marked = [i for i in own if measurements[i].timepoint in BASELINES]
    if marked:
        candidates = [i for i in marked if measurements[i].start <= one.start]
        start = max((measurements[i].start for i in candidates), default=None)
    else:
        candidates = [i for i in own if _unusable(measurements[i]) is None]
        start = min((measurements[i].start for i in candidates), default=None)
    candidates = [i for i in candidates if measurements[i].start == start]
    if not candidates:
        return _BEFORE
    if not _agree(measurements, candidates):
        return _TWO
    if index in candidates:
        return _THE_BASELINE
    if _unusable(measurements[candidates[0]]) is not None:
        status = measurements[candidates[0]].status
        return NoChange("unusable-baseline", f"The marked baseline has no final number (its status is {status}).")
    return candidates[0]


def _agree(measurements: Sequence[Measurement], candidates: Sequence[int]) -> bool:
    return len({(measurements[i].value, measurements[i].method) for i in candidates}) == 1
