"""`$score` as a pure function: an instrument and a response in, exact values or reasons for refusal out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from fhir_server.errors import Issue
from fhir_server.instruments.acceptance import refusals
from fhir_server.instruments.answers import Answers, read_answers
from fhir_server.instruments.calculated import calculated_otherwise, link_id_of
from fhir_server.instruments.definition import (
    NOT_APPLICABLE,
    Absence,
    Alert,
    Band,
    Exact,
    Instrument,
    Reading,
    Score,
    Subject,
    numbers_of,
)
from fhir_server.instruments.evaluation import NOBODY, Outcome, evaluate
from fhir_server.instruments.quick import quick_readings
from fhir_server.instruments.rounding import as_decimal, round_half_up
from fhir_server.instruments.rules import Categories

Status = Literal["final", "preliminary", "amended"]


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """One score with how it came about. Of `value`, `code` and `absence` just one is there."""

    score: Score
    value: Decimal | None
    """Unrounded, but for EXACT_DECIMALS."""
    display: Decimal | None
    """Rounded half up to the score's decimals."""
    code: str | None
    """A stratum or profile."""
    absence: Absence | None
    readings: dict[str, Reading]
    """As answered, by linkId: of the score's own items."""
    ticked: tuple[str, ...]
    """Aids and help that raise a category."""
    scores: dict[str, Decimal]
    """The earlier scores it follows from, as `score.<name>`."""
    imputed: tuple[str, ...]
    imputed_value: Decimal | None
    left_out: tuple[str, ...]
    """Items of the categories without answer."""
    band: Band | None
    status: Status

    @property
    def answered(self) -> dict[str, Exact]:
        """The readings that are numbers."""
        return {link_id: value for link_id, value in self.readings.items() if value is not NOT_APPLICABLE}


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
    """One for each score of the instrument, some perhaps absent; none when the response is refused."""
    alerts: tuple[AlertResult, ...]
    """Answers above the limit."""
    quiet: tuple[AlertResult, ...]
    """Answers not above it; none while any answer is in doubt, so that no alert is taken back by a guess."""
    refused: tuple[Issue, ...]
    warnings: tuple[Issue, ...]
    accepted: bool
    """The response says whose it is, of when and on which form, whatever is wrong with its answers."""


def score_response(
    instrument: Instrument,
    response: dict[str, Any],
    *,
    now: datetime,
    allow_unverified: bool = False,
    subject: Subject = NOBODY,
) -> Scoring:
    """Score `response`. A wrong answer refuses all scores, a missing one those that need it.

    `now` (with a zone) tells a response dated in the future. Rules known from memory only are applied when
    `allow_unverified` says so, and make the result preliminary. `subject` is for tables by age and sex.
    """
    unacceptable: list[Issue] = []
    unread: dict[str, list[dict[str, Any]]] = {}
    readings = quick_readings(instrument, response, now, unread)
    if readings is not None:
        answers = Answers({link_id: [reading] for link_id, reading in readings.items()}, uncounted=unread)
    else:
        answers = read_answers(instrument, response)
        unacceptable = list(refusals(instrument, response, now))
        readings = {link_id: values[0] for link_id, values in answers.readings.items() if values}
    refused = [*unacceptable, *answers.issues]
    results: tuple[ScoreResult, ...] = ()
    if not refused:
        results = score_readings(
            instrument, readings, str(response["status"]), allow_unverified=allow_unverified, subject=subject
        )
        if all(result.absence for result in results):
            refused = list(_nothing_scored(instrument, results))
            results = ()
    alerts = tuple(_alerts(instrument, answers, response, above=True))
    quiet = () if answers.issues else tuple(_alerts(instrument, answers, response, above=False))
    return Scoring(
        instrument=instrument,
        results=results,
        alerts=alerts,
        quiet=quiet,
        refused=tuple(refused),
        warnings=tuple(_warnings(instrument, answers, alerts, results)),
        accepted=not unacceptable,
    )


def score_readings(
    instrument: Instrument,
    readings: dict[str, Reading],
    response_status: str,
    *,
    allow_unverified: bool = False,
    subject: Subject = NOBODY,
) -> tuple[ScoreResult, ...]:
    """The results for answers that were read without complaint."""
    outcomes = evaluate(instrument, readings, subject, allow_unverified=allow_unverified)
    results = []
    reckoned: dict[str, Decimal] = {}
    for score, outcome in zip(instrument.scores, outcomes, strict=True):
        result = _result(score, outcome, readings, reckoned, response_status, allow_unverified)
        results.append(result)
        if result.value is not None:
            reckoned[numbers_of(score.name)] = result.value
    return tuple(results)


def _result(
    score: Score,
    outcome: Outcome,
    readings: dict[str, Reading],
    reckoned: dict[str, Decimal],
    response_status: str,
    allow_unverified: bool,
) -> ScoreResult:
    value = outcome.value
    number = value if isinstance(value, int | Fraction) else None
    follows = len(score.items) < len(score.inputs)
    aids = score.rule.aids if isinstance(score.rule, Categories) else ()
    bands = score.bands if score.bands and (score.bands.evidence != "memory" or allow_unverified) else None
    return ScoreResult(
        score=score,
        value=None if number is None else as_decimal(number),
        display=None if number is None else round_half_up(number, score.decimals),
        code=value if isinstance(value, str) else None,
        absence=value if isinstance(value, Absence) else None,
        readings={link_id: readings[link_id] for link_id in score.items if link_id in readings},
        ticked=tuple(link_id for link_id in aids if readings.get(link_id) not in (None, NOT_APPLICABLE, 0)),
        scores={name: reckoned[name] for name in score.inputs if name in reckoned} if follows else {},
        imputed=outcome.imputed,
        imputed_value=None if outcome.imputed_value is None else as_decimal(outcome.imputed_value),
        left_out=outcome.left_out,
        band=bands.of(number) if bands and number is not None else None,
        status=status_of(score, outcome, response_status, allow_unverified=allow_unverified),
    )


def status_of(score: Score, outcome: Outcome, response_status: str, *, allow_unverified: bool) -> Status:
    """Of a score (R4 observation-status): preliminary when any rule it came from is known from memory only."""
    banded = allow_unverified and score.bands is not None and score.bands.evidence == "memory"
    if outcome.unverified or banded or response_status == "in-progress":
        return "preliminary"
    return "amended" if response_status == "amended" else "final"


def _nothing_scored(instrument: Instrument, results: tuple[ScoreResult, ...]) -> Iterator[Issue]:
    """Why no score could be computed, each item without an answer named once."""
    if not results:
        yield Issue(
            "not-supported",
            f"{instrument.metadata['name']} has no scores: its answers are counted over many responses.",
            "QuestionnaireResponse.questionnaire",
        )
    named: set[str] = set()
    for result in results:
        absence = result.absence
        assert absence is not None
        if not absence.items:
            yield Issue("business-rule", f"{result.score.title}: {absence.text}", "QuestionnaireResponse.questionnaire")
        for link_id in absence.items:
            if link_id not in named:
                named.add(link_id)
                yield Issue("required", f"Item {link_id} has no answer: {absence.text}.", item_expression(link_id))


def item_expression(link_id: str) -> str:
    """FHIRPath of an item by its linkId, wherever it stands."""
    return f"QuestionnaireResponse.descendants().where(linkId='{link_id}')"


def _alerts(
    instrument: Instrument, answers: Answers, response: dict[str, Any], *, above: bool
) -> Iterator[AlertResult]:
    """From any readable answer, scorable or not; a response entered in error says nothing about anybody."""
    if response.get("status") == "entered-in-error":
        return
    for alert in instrument.alerts:
        highest = max(numbers(answers.readings.get(alert.item, ())), default=None)
        if highest is not None and (highest > alert.above) == above:
            yield AlertResult(alert, as_decimal(highest))


def numbers(readings: Iterable[Reading]) -> Iterator[Exact]:
    """The readings that are numbers."""
    return (reading for reading in readings if reading is not NOT_APPLICABLE)


def _warnings(
    instrument: Instrument, answers: Answers, alerts: tuple[AlertResult, ...], results: tuple[ScoreResult, ...]
) -> Iterator[Issue]:
    for raised in alerts:
        yield Issue(
            "business-rule",
            f"{raised.alert.title}: answered {raised.value}. {raised.alert.advice}",
            item_expression(raised.alert.item),
            "warning",
        )
    for alert in instrument.alerts:
        if not answers.readings.get(alert.item):
            yield Issue(
                "incomplete",
                f"{alert.title}: no answer that can be read: look at the response.",
                item_expression(alert.item),
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
        yield from _result_warnings(result)
        yield from _calculation_warnings(result, answers)


def _result_warnings(result: ScoreResult) -> Iterator[Issue]:
    title = result.score.title
    if result.absence:
        yield Issue(
            "incomplete", f"{title}: no value. {reason(result.absence)}", "QuestionnaireResponse.item", "warning"
        )
    if result.imputed:
        yield Issue(
            "incomplete",
            f"{title}: {', '.join(result.imputed)} without answer, taken as the mean of the "
            f"answered items ({result.imputed_value}).",
            "QuestionnaireResponse.item",
            "warning",
        )
    if result.left_out:
        yield Issue(
            "incomplete",
            f"{title}: {', '.join(result.left_out)} without answer; their categories are left out of the mean.",
            "QuestionnaireResponse.item",
            "warning",
        )


def _calculation_warnings(result: ScoreResult, answers: Answers) -> Iterator[Issue]:
    """The response brings a score that its form calculated: it counts for nothing, but a difference must be seen."""
    link_id, found = link_id_of(result.score.name), result.code or result.value
    given = calculated_otherwise(answers.uncounted.get(link_id, []), found, result.score.decimals)
    if given is not None:
        here = "there is no value here" if found is None else f"the value here is {found}"
        text = f"{result.score.title}: the form calculated {given}, {here}. What a form calculates is not used."
        yield Issue("business-rule", text, item_expression(link_id), "warning")


def reason(absence: Absence) -> str:
    """Why there is no value, as a sentence."""
    if not absence.items:
        return absence.text
    return f"Without answer: {', '.join(absence.items)}; {absence.text}."
