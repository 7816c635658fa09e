"""How a score came about and how far it can be trusted, in sentences for clinicians."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.instruments.definition import NOT_APPLICABLE, Exact, Instrument, Rule, numbers_of
from fhir_server.instruments.rounding import as_decimal
from fhir_server.instruments.rules import Calculation, Categories, Linear, Lookup, Strata
from fhir_server.instruments.scoring import ScoreResult, reason


def explanation(instrument: Instrument, result: ScoreResult) -> list[str]:
    """One sentence group per note: the value, the rule with what it used, what was missing, evidence, caveats."""
    return list(_sentences(instrument, result))


def _sentences(instrument: Instrument, result: ScoreResult) -> Iterator[str]:
    score = result.score
    yield _headline(result)
    if not result.absence:
        used = ", ".join(_used(instrument, result))
        yield f"{_rule(score.rule)}{': ' if used else ''}{used}."
    if result.ticked:
        yield f"Aids or help used: {', '.join(result.ticked)}."
    not_applicable = [link_id for link_id, value in result.readings.items() if value is NOT_APPLICABLE]
    if not_applicable:
        yield f"Answered as not applicable, and left out: {', '.join(not_applicable)}."
    source = f" {_ended(score.source)}" if score.source else ""
    yield f"Evidence of the rule: {score.evidence}.{source} {instrument.metadata['evidence_note']}"
    if result.imputed and score.missing:
        yield (
            f"Without answer: {', '.join(result.imputed)}; taken as {result.imputed_value}, the mean of the answered "
            f"items. Evidence: {score.missing.evidence}. {_ended(score.missing.source)}"
        )
    if result.left_out and score.missing:
        yield (
            f"Without answer: {', '.join(result.left_out)}; their categories are left out of the mean. "
            f"Evidence: {score.missing.evidence}. {_ended(score.missing.source)}"
        )
    if result.band and score.bands:
        yield f"Band {result.band.display}. Evidence: {score.bands.evidence}. {_ended(score.bands.source)}"
    if instrument.wording:
        yield (
            f"Answered on the imported wording {instrument.wording.title!r} "
            f"({instrument.wording.language}), version {instrument.wording.version}."
        )
    if instrument.experimental:
        yield "Answered on neutral labels, not on the published wording: not a validated measurement."


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def _headline(result: ScoreResult) -> str:
    score = result.score
    if result.absence:
        return f"{score.title}: no value. {reason(result.absence)}"
    if result.code is not None:
        return f"{score.title}: {score.strata.get(result.code, result.code)}."
    better = "higher is better" if score.direction == "higher-better" else "higher is worse"
    if score.low is None or score.high is None:
        return f"{score.title}: {result.display}, {better}."
    return f"{score.title}: {result.display} of {_plain(score.low)} to {_plain(score.high)}, {better}."


def _used(instrument: Instrument, result: ScoreResult) -> Iterator[str]:
    """The answers, each with what it counts as where that differs, and the earlier scores."""
    rule = result.score.rule
    points = rule.points or {} if isinstance(rule, Linear) else {}
    for link_id, reading in result.answered.items():
        item = instrument.items[link_id]
        value = item.value(reading)
        counted = points[link_id][value] if link_id in points else value
        changed = item.changes_readings or link_id in points
        unit = f" {item.unit}" if item.unit else ""
        yield f"{link_id} = {_plain(reading)}{unit}{f', counted as {_plain(counted)}' if changed else ''}"
    for name, score in result.scores.items():
        yield f"{name} = {score}"


def _rule(rule: Rule) -> str:
    """What was done with the answers."""
    match rule:
        case Linear():
            return _linear(rule)
        case Categories():
            return "Mean of the categories, each its highest item, raised where an aid or help is used"
        case Lookup():
            return f"Read from table {rule.table.id} ({rule.table.source})"
        case Calculation():
            return f"By the formula {rule.formula.text}"
        case Strata():
            cases = (f"{code} if {when.text}" if when else f"else {code}" for code, when in rule.strata)
            return f"The first that holds: {'; '.join(cases)}"
        case _:
            return "The answers side by side"


def _linear(rule: Linear) -> str:
    scores = [name for name in rule.inputs if name.startswith(numbers_of(""))]
    what = "items" if not scores else "scores" if len(scores) == len(rule.inputs) else "items and scores"
    weighted = ", weighted" if rule.weights else ""
    scaled = f" x {_plain(rule.multiply)}" if rule.multiply != 1 else ""
    scaled += f" + {_plain(rule.add)}" if rule.add else ""
    adjusted = ", adjusted" if rule.adjustments else ""
    places = rule.places
    rounded = "" if places is None else f", rounded to {places} decimal{'' if places == 1 else 's'} on the way"
    return f"{'Mean' if rule.mean else 'Sum'} of the {what}{weighted}{scaled}{adjusted}{rounded}"


def _plain(value: Exact) -> str:
    return f"{as_decimal(value)}"
