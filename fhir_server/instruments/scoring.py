"""`$score` as a pure function: an instrument and a response in, exact values or reasons for refusal out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, Literal

from fhir_server.errors import Issue
from fhir_server.instruments.acceptance import refusals
from fhir_server.instruments.answers import Answers, read_answers
from fhir_server.instruments.definition import Alert, Band, Exact, Instrument, Score

EXACT_DECIMALS = 6
"""Places kept of a value that no decimal can hold (33.818181...); integers and halves stay as they are."""


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """One score with how it came about."""

    score: Score
    value: Decimal
    """Unrounded, but for EXACT_DECIMALS."""
    display: Decimal
    """Rounded half up to the score's decimals."""
    answered: dict[str, Exact]
    imputed: tuple[str, ...]
    imputed_value: Decimal | None
    band: Band | None
    status: Literal["final", "preliminary", "amended"]


@dataclass(frozen=True, slots=True)
class AlertResult:
    """The answer to an alert's item."""

    alert: Alert
    value: Decimal


@dataclass(frozen=True, slots=True)
class Scoring:
    """Either `results`, or `refused` saying why there are none; alerts and warnings hold in both cases."""

    instrument: Instrument
    results: tuple[ScoreResult, ...]
    alerts: tuple[AlertResult, ...]
    """Answers above the limit."""
    quiet: tuple[AlertResult, ...]
    """Answers not above it; none while any answer is in doubt, so that no alert is taken back by a guess."""
    refused: tuple[Issue, ...]
    warnings: tuple[Issue, ...]
    accepted: bool
    """The response says whose it is, of when and on which form, whatever is wrong with its answers."""


def score_response(
    instrument: Instrument, response: dict[str, Any], *, now: datetime, allow_unverified: bool = False
) -> Scoring:
    """Score `response`, all scores of the instrument or none.

    `now` (with a zone) tells a response dated in the future. Rules known from memory only are applied when
    `allow_unverified` says so, and make the result preliminary.
    """
    answers = read_answers(instrument, response)
    unacceptable = list(refusals(instrument, response, now))
    refused = [*unacceptable, *answers.issues]
    refused += _missing(instrument, answers, allow_unverified)
    alerts = tuple(_alerts(instrument, answers, response, above=True))
    quiet = () if answers.issues else tuple(_alerts(instrument, answers, response, above=False))
    results: tuple[ScoreResult, ...] = ()
    if not refused:
        readings = {link_id: values[0] for link_id, values in answers.readings.items()}
        results = tuple(
            _result(score, readings, str(response["status"]), allow_unverified) for score in instrument.scores
        )
    return Scoring(
        instrument=instrument,
        results=results,
        alerts=alerts,
        quiet=quiet,
        refused=tuple(refused),
        warnings=tuple(_warnings(instrument, answers, alerts, results)),
        accepted=not unacceptable,
    )


def as_decimal(value: Exact) -> Decimal:
    """`value` exactly where a decimal of EXACT_DECIMALS places can hold it, else rounded half up to them."""
    if isinstance(value, int):
        return Decimal(value)
    return round_half_up(value, EXACT_DECIMALS).normalize() + Decimal(0)


def round_half_up(value: Exact, decimals: int) -> Decimal:
    """Round to `decimals` places, halves away from zero: never banker's rounding."""
    shifted = abs(value) * 10**decimals
    whole = (2 * shifted.numerator + shifted.denominator) // (2 * shifted.denominator)
    rounded = Decimal(whole).scaleb(-decimals)
    return (-rounded if value < 0 else rounded).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _missing(instrument: Instrument, answers: Answers, allow_unverified: bool) -> Iterator[Issue]:
    """Items without an answer beyond what the missing rule of their score allows, each named once."""
    reported: set[str] = set()
    for score in instrument.scores:
        missing = [link_id for link_id in score.items if link_id not in answers.readings]
        rule = score.missing
        usable = rule is not None and (rule.evidence != "memory" or allow_unverified)
        if not missing or (usable and rule is not None and len(missing) <= rule.at_most):
            continue
        if rule is None:
            why = "every item must be answered"
        elif len(missing) > rule.at_most:
            why = f"at most {rule.at_most} may be missing and {len(missing)} are"
        else:
            why = "the rule for missing answers is known from memory only and not applied (FHIR_SCORE_UNVERIFIED)"
        for link_id in missing:
            if link_id not in reported:
                reported.add(link_id)
                yield Issue(
                    "required",
                    f"Item {link_id} has no answer: {why}.",
                    f"QuestionnaireResponse.descendants().where(linkId='{link_id}')",
                )


def _alerts(
    instrument: Instrument, answers: Answers, response: dict[str, Any], *, above: bool
) -> Iterator[AlertResult]:
    """From any readable answer, scorable or not; a response entered in error says nothing about anybody."""
    if response.get("status") == "entered-in-error":
        return
    for alert in instrument.alerts:
        highest = max(answers.readings.get(alert.item, ()), default=None)
        if highest is not None and (highest > alert.above) == above:
            yield AlertResult(alert, as_decimal(highest))


def _result(score: Score, readings: dict[str, Exact], status: str, allow_unverified: bool) -> ScoreResult:
    answered = {link_id: readings[link_id] for link_id in score.items if link_id in readings}
    imputed = tuple(link_id for link_id in score.items if link_id not in answered)
    mean = Fraction(sum(answered.values())) / len(answered) if imputed else Fraction(0)
    value = score.value([answered.get(link_id, mean) for link_id in score.items])
    bands = score.bands if score.bands and (score.bands.evidence != "memory" or allow_unverified) else None
    used = {score.evidence, *({bands.evidence} if bands else ())}
    if imputed and score.missing:
        used.add(score.missing.evidence)
    return ScoreResult(
        score=score,
        value=as_decimal(value),
        display=round_half_up(value, score.decimals),
        answered=answered,
        imputed=imputed,
        imputed_value=as_decimal(mean) if imputed else None,
        band=bands.of(value) if bands else None,
        status=_status(status, "memory" in used),
    )


def _status(response_status: str, unverified: bool) -> Literal["final", "preliminary", "amended"]:
    if unverified or response_status == "in-progress":
        return "preliminary"
    return "amended" if response_status == "amended" else "final"


def _warnings(
    instrument: Instrument, answers: Answers, alerts: tuple[AlertResult, ...], results: tuple[ScoreResult, ...]
) -> Iterator[Issue]:
    for raised in alerts:
        yield Issue(
            "business-rule",
            f"{raised.alert.title}: answered {raised.value}. {raised.alert.advice}",
            f"QuestionnaireResponse.descendants().where(linkId='{raised.alert.item}')",
            "warning",
        )
    for alert in instrument.alerts:
        if not answers.readings.get(alert.item):
            yield Issue(
                "incomplete",
                f"{alert.title}: no readable answer, so nobody has been warned. Look at the response.",
                f"QuestionnaireResponse.descendants().where(linkId='{alert.item}')",
                "warning",
            )
    if results and instrument.experimental:
        yield Issue(
            "informational",
            f"Answered on neutral labels, not on the published wording of {instrument.metadata['name']}: "
            "not a validated measurement.",
            "QuestionnaireResponse.questionnaire",
            "warning",
        )
    for result in results:
        if result.imputed:
            yield Issue(
                "incomplete",
                f"{result.score.title}: {', '.join(result.imputed)} without answer, taken as the mean of the "
                f"answered items ({result.imputed_value}).",
                "QuestionnaireResponse.item",
                "warning",
            )
