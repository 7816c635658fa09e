"""What a definition may not say: things its Questionnaire does not have, ranges its items cannot reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_server.instruments.definition import Exact, Instrument, Item, Score, numbers_of
from fhir_server.instruments.evaluation import NOBODY
from fhir_server.instruments.rules import Categories, Linear, Lookup, Profile


def contradictions(instrument: Instrument, scoring: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(JSON path in scoring.json, what is wrong there)."""
    if scoring["questionnaire"] != instrument.canonical:
        yield "$.questionnaire", f"the Questionnaire here is {instrument.canonical}"
    if instrument.metadata["id"] != instrument.id:
        yield "$.instrument", f"instrument.json is about {instrument.metadata['id']}"
    for link_id in scoring.get("items", {}):
        for complaint in _item_complaints(instrument.items[link_id]):
            yield f"$.items.{link_id}", complaint
    for index, alert in enumerate(instrument.alerts):
        if alert.item not in instrument.items or not instrument.items[alert.item].type:
            yield f"$.alerts[{index}].item", f"the Questionnaire has no item {alert.item} with coded answers"
    earlier: dict[str, Score] = {}
    for index, score in enumerate(instrument.scores):
        for path, complaint in _score_complaints(instrument, score, earlier):
            yield f"$.scores[{index}]{path}", complaint
        earlier[numbers_of(score.name)] = score


def _item_complaints(item: Item) -> Iterator[str]:
    if not item.type:
        yield "the item has no coded or numeric answers"
    elif item.recode is not None:
        unknown = sorted(set(item.readings()) - set(item.recode)) if item.type == "choice" else _left_out(item)
        if unknown:
            yield f"recode leaves out {', '.join(map(str, unknown))}"


def _left_out(item: Item) -> list[Exact]:
    low, high = item.low, item.high
    if item.type != "integer" or not isinstance(low, int) or not isinstance(high, int) or item.recode is None:
        return []
    return [reading for reading in range(low, high + 1) if reading not in item.recode]


def _score_complaints(instrument: Instrument, score: Score, earlier: Mapping[str, Score]) -> Iterator[tuple[str, str]]:
    for name in _names(score):
        known = name in earlier if name.startswith(numbers_of("")) else name in instrument.items
        if not known:
            yield ".rule", f"there is no {name}: items of the Questionnaire and scores before this one have values"
            return
        if name in instrument.items and not instrument.items[name].type:
            yield ".rule", f"item {name} has no coded or numeric answers"
            return
    rule = score.rule
    if score.missing and not isinstance(rule, Linear | Categories):
        yield ".missing", "only sums, means and categories can do without an answer"
    if isinstance(rule, Linear) and (rule.points or rule.adjustments) and score.missing:
        yield ".missing", "a score with its own points or adjustments needs every answer"
    yield from _point_complaints(instrument, rule)
    yield from _range_complaints(instrument, score, earlier)
    if score.bands:
        starts = [(band.start, band.exclusive) for band in score.bands.steps]
        if starts[0] != (score.low, False) or starts != sorted(set(starts)) or starts[-1][0] > (score.high or 0):
            yield ".bands.steps", "bands start at the lowest score, ascend and lie in the range"


def _names(score: Score) -> Iterator[str]:
    yield from score.rule.inputs
    if isinstance(score.rule, Categories):
        for category in score.rule.categories:
            yield from category.when_any
    if isinstance(score.rule, Linear):
        for condition, _ in score.rule.adjustments:
            yield from condition.names


def _point_complaints(instrument: Instrument, rule: object) -> Iterator[tuple[str, str]]:
    if not isinstance(rule, Linear) or rule.points is None:
        return
    for name, points in rule.points.items():
        if name not in rule.inputs:
            yield ".rule.points", f"{name} is not summed"
        elif set(points) != {instrument.items[name].value(reading) for reading in instrument.items[name].readings()}:
            yield f".rule.points.{name}", "every answer of the item needs its points, and nothing else"


def _range_complaints(instrument: Instrument, score: Score, earlier: Mapping[str, Score]) -> Iterator[tuple[str, str]]:
    """The range must be what the rule reaches, where that follows from the answers allowed."""
    reach = _reach(instrument, score, earlier)
    if reach is not None and reach != (score.low, score.high):
        yield ".range", f"the rule reaches {reach[0]} to {reach[1]}, not {score.low} to {score.high}"


def _reach(instrument: Instrument, score: Score, earlier: Mapping[str, Score]) -> tuple[Exact, Exact] | None:
    rule = score.rule
    if isinstance(rule, Lookup):
        cells = [cell for cell in rule.table.cells if cell is not None]
        return min(cells), max(cells)
    if isinstance(rule, Profile) or not isinstance(rule, Linear | Categories):
        return None
    ends: list[dict[str, Exact]] = [{}, {}]
    for index, name in enumerate(rule.inputs):
        bounds = _bounds(instrument, earlier, name)
        if bounds is None:
            return None
        points = rule.points.get(name) if isinstance(rule, Linear) and rule.points else None
        weight = rule.weights[index] if isinstance(rule, Linear) and rule.weights else 1
        low, high = sorted(bounds, key=lambda value: (points[value] if points else value) * weight)
        ends[0][name], ends[1][name] = low, high
    reached = sorted(rule.value(end, NOBODY) for end in ends)
    return reached[0], reached[1]


def _bounds(instrument: Instrument, earlier: Mapping[str, Score], name: str) -> tuple[Exact, Exact] | None:
    if name in earlier:
        low, high = earlier[name].low, earlier[name].high
        return None if low is None or high is None else (low, high)
    item = instrument.items[name]
    values = [item.value(reading) for reading in (item.recode or item.readings())]
    return (min(values), max(values)) if values else None
