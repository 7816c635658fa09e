"""How a score came about and how far it can be trusted, in sentences for clinicians."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.instruments.definition import NOT_APPLICABLE, Exact, Instrument, Rule
from fhir_server.instruments.rounding import as_decimal
from fhir_server.instruments.rules import Calculation, Categories, Linear, Lookup
from fhir_server.instruments.scoring import ScoreResult, reason


def explanation(instrument: Instrument, result: ScoreResult) -> list[str]:
    """One sentence group per note: the value, the rule with what it used, what was missing, evidence, caveats."""
    return list(_sentences(instrument, result))


def _sentences(instrument: Instrument, result: ScoreResult) -> Iterator[str]:
    score = result.score
    yield _headline(result)
    if not result.absence:
        used = ", ".join(_used(instrument, link_id, value) for link_id, value in result.answered.items())
        yield f"{_rule(score.rule)}{': ' if used else ''}{used}."
    not_applicable = [link_id for link_id, value in result.readings.items() if value is NOT_APPLICABLE]
    if not_applicable:
        yield f"Answered as not applicable, and left out: {', '.join(not_applicable)}."
    source = f" {score.source}" if score.source else ""
    yield f"Evidence of the rule: {score.evidence}.{source} {instrument.metadata['evidence_note']}"
    if result.imputed and score.missing:
        yield (
            f"Without answer: {', '.join(result.imputed)}; taken as {result.imputed_value}, the mean of the answered "
            f"items. Evidence: {score.missing.evidence}. {score.missing.source}"
        )
    if result.left_out and score.missing:
        yield (
            f"Without answer: {', '.join(result.left_out)}; their categories are left out of the mean. "
            f"Evidence: {score.missing.evidence}. {score.missing.source}"
        )
    if result.band and score.bands:
        yield f"Band {result.band.display}. Evidence: {score.bands.evidence}. {score.bands.source}"
    if instrument.wording:
        yield (
            f"Answered on the imported wording {instrument.wording.title!r} "
            f"({instrument.wording.language}), version {instrument.wording.version}."
        )
    if instrument.experimental:
        yield "Answered on neutral labels, not on the published wording: not a validated measurement."


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


def _used(instrument: Instrument, link_id: str, reading: Exact) -> str:
    item = instrument.items[link_id]
    counted = f", counted as {_plain(item.value(reading))}" if item.changes_readings else ""
    return f"{link_id} = {_plain(reading)}{f' {item.unit}' if item.unit else ''}{counted}"


def _rule(rule: Rule) -> str:
    """What was done with the answers."""
    if isinstance(rule, Linear):
        return _linear(rule)
    if isinstance(rule, Categories):
        return "Mean of the categories, each its highest item, raised where an aid or help is used"
    if isinstance(rule, Lookup):
        return f"Read from table {rule.table.id} ({rule.table.source})"
    if isinstance(rule, Calculation):
        return f"By the formula {rule.formula.text}"
    return "By the conditions of the definition"


def _linear(rule: Linear) -> str:
    scaled = f" x {_plain(rule.multiply)}" if rule.multiply != 1 else ""
    scaled += f" + {_plain(rule.add)}" if rule.add else ""
    weighted = ", weighted" if rule.weights else ""
    pointed = ", as points of this score" if rule.points else ""
    adjusted = ", adjusted" if rule.adjustments else ""
    rounded = "" if rule.places is None else f", rounded to {rule.places} decimals on the way"
    return f"{'Mean' if rule.mean else 'Sum'} of the items{scaled}{weighted}{pointed}{adjusted}{rounded}"


def _plain(value: Exact) -> str:
    return f"{as_decimal(value)}"
