"""From readings to values: the one kernel behind `$score`, its batch form and the command line.

Arithmetic is exact; nothing is rounded but where a published rule says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from fhir_server.instruments.definition import (
    NOT_APPLICABLE,
    Absence,
    Exact,
    Instrument,
    Reading,
    Score,
    Subject,
    numbers_of,
)
from fhir_server.instruments.formula import exact
from fhir_server.instruments.rules import Categories, Linear

NOBODY = Subject()
"""A patient of whom neither sex nor age is known."""


@dataclass(slots=True)
class Outcome:
    """One score: a value, or why there is none."""

    value: Exact | str | Absence
    imputed: tuple[str, ...] = ()
    imputed_value: Exact | None = None
    left_out: tuple[str, ...] = ()
    """Items of the categories that have no answer: the mean does without them."""
    unverified: bool = False
    """A rule known from memory only had a part in it: the score's, its missing rule, or those of a score it needs."""


def evaluate(
    instrument: Instrument,
    readings: Mapping[str, Reading],
    subject: Subject = NOBODY,
    *,
    allow_unverified: bool = False,
) -> list[Outcome]:
    """The outcome of every score of `instrument`, in its order.

    `readings` holds one reading by linkId, none for an item without answer. Rules known from memory only are applied
    when `allow_unverified` says so.
    """
    values = item_values(instrument, readings)
    outcomes = []
    unverified: set[str] = set()
    for score in instrument.scores:
        outcome = _outcome(score, values, subject, allow_unverified)
        outcomes.append(outcome)
        if unverified and not unverified.isdisjoint(score.inputs):
            outcome.unverified = True
        name = numbers_of(score.name)
        if isinstance(outcome.value, int | Fraction):
            values[name] = outcome.value
        if outcome.unverified:
            unverified.add(name)
    return outcomes


def item_values(instrument: Instrument, readings: Mapping[str, Reading]) -> dict[str, Exact]:
    """The readings recoded and reversed as the definition says; questions that do not apply have no value."""
    values = {link_id: reading for link_id, reading in readings.items() if reading is not NOT_APPLICABLE}
    for link_id in instrument.changed_items:
        if link_id in values:
            values[link_id] = instrument.items[link_id].value(values[link_id])
    return values


def _outcome(score: Score, values: dict[str, Exact], subject: Subject, allow_unverified: bool) -> Outcome:
    if score.evidence == "memory" and not allow_unverified:
        text = "The rule is known from memory only and not applied (FHIR_SCORE_UNVERIFIED)."
        return Outcome(Absence("rule-not-verified", text))
    outcome = (
        _of_categories(score, score.rule, values, subject, allow_unverified)
        if isinstance(score.rule, Categories)
        else _of_inputs(score, values, subject, allow_unverified)
    )
    if score.evidence == "memory":
        outcome.unverified = True
    return outcome


def _of_inputs(score: Score, values: dict[str, Exact], subject: Subject, allow_unverified: bool) -> Outcome:
    missing = tuple([name for name in score.inputs if name not in values])
    if not missing:
        return Outcome(score.rule.value(values, subject))
    absence = _too_many_missing(score, missing, len(missing), allow_unverified)
    if absence is not None:
        return Outcome(absence)
    return _imputed(score, missing, values, subject)


def _of_categories(
    score: Score, rule: Categories, values: dict[str, Exact], subject: Subject, allow_unverified: bool
) -> Outcome:
    missing = [category for category in rule.categories if category.value(values) is None]
    if not missing:
        return Outcome(rule.value(values, subject))
    items = tuple(item for category in missing for item in category.items)
    absence = _too_many_missing(score, items, len(missing), allow_unverified)
    if absence:
        return Outcome(absence)
    return Outcome(rule.value(values, subject), left_out=items, unverified=_from_memory(score))


def _from_memory(score: Score) -> bool:
    """Whether the missing rule of `score` is."""
    return score.missing is not None and score.missing.evidence == "memory"


def _too_many_missing(score: Score, missing: tuple[str, ...], count: int, allow_unverified: bool) -> Absence | None:
    """Why `count` missing inputs are too many; None when the missing rule takes them."""
    rule = score.missing
    items = tuple(name for name in missing if name in score.items)
    if len(items) < len(missing):
        scores = ", ".join(name.partition(".")[2] for name in missing if name not in score.items)
        return Absence("too-few-answers", f"It follows from {scores}, which could not be computed.", items)
    if rule is None:
        return Absence("too-few-answers", "every item must be answered", items)
    if count > rule.at_most:
        return Absence("too-few-answers", f"at most {rule.at_most} may be missing and {count} are", items)
    if rule.evidence == "memory" and not allow_unverified:
        text = "the rule for missing answers is known from memory only and not applied (FHIR_SCORE_UNVERIFIED)"
        return Absence("rule-not-verified", text, items)
    return None


def _imputed(score: Score, missing: tuple[str, ...], values: dict[str, Exact], subject: Subject) -> Outcome:
    """The missing items take the mean of the answered ones (of the points, where the score has its own)."""
    rule = score.rule
    assert isinstance(rule, Linear)
    answered = [values[name] for name in score.items if name in values]
    mean = exact(Fraction(sum(answered)) / len(answered))
    value = rule.value({**values, **dict.fromkeys(missing, mean)}, subject)
    return Outcome(value, missing, mean, unverified=_from_memory(score))
