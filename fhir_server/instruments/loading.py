"""From an instrument's folder to an Instrument, refusing a definition that contradicts itself.

A folder holds questionnaire.json, scoring.json and instrument.json (docs/instruments.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from fhir_server.content_files import SHIPPED_BASE
from fhir_server.instruments.definition import (
    TOP,
    Alert,
    AnswerKey,
    Band,
    Bands,
    Exact,
    Instrument,
    Item,
    MissingRule,
    Place,
    Score,
)

ORDINAL_VALUE = "http://hl7.org/fhir/StructureDefinition/ordinalValue"


class DefinitionError(Exception):
    """A definition cannot be used; the message names the file and the path in it."""


def load_instrument(folder: Path, canonical_base: str = SHIPPED_BASE) -> Instrument:
    """Read and check one instrument.

    Raises DefinitionError naming file and JSON path.
    """
    metadata = _read(folder / "instrument.json", canonical_base)
    scoring = _read(folder / "scoring.json", canonical_base)
    questionnaire = _read(folder / "questionnaire.json", canonical_base)
    _check(folder / "instrument.json", metadata, "instrument.schema.json")
    _check(folder / "scoring.json", scoring, "scoring.schema.json")
    instrument = _compile(metadata, scoring, questionnaire, _checksum(folder))
    for path, complaint in _contradictions(instrument, scoring, questionnaire):
        raise DefinitionError(f"{folder.name}/scoring.json {path}: {complaint}")
    return instrument


def load_instruments(root: Path, canonical_base: str = SHIPPED_BASE) -> list[Instrument]:
    """Every instrument below `root` (a `questionnaires/` folder), by id."""
    return [load_instrument(path.parent, canonical_base) for path in sorted(root.glob("*/scoring.json"))]


def _read(path: Path, canonical_base: str) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8").replace(SHIPPED_BASE, canonical_base)
    try:
        document = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise DefinitionError(f"{path.parent.name}/{path.name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DefinitionError(f"{path.parent.name}/{path.name} is not a JSON object")
    return document


def _checksum(folder: Path) -> str:
    """Changes with every rule and every item, not with the canonical base or the metadata."""
    digest = sha256()
    for name in ("scoring.json", "questionnaire.json"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _check(path: Path, document: dict[str, Any], schema: str) -> None:
    # 0.1 s and 5 MB that a process pays for only when it scores
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.exceptions import best_match  # noqa: PLC0415

    source = resources.files(__package__).joinpath(schema).read_text(encoding="utf-8")
    error = best_match(Draft202012Validator(json.loads(source)).iter_errors(document))
    if error:
        raise DefinitionError(f"{path.parent.name}/{path.name} {error.json_path}: {error.message}")


def _compile(
    metadata: dict[str, Any], scoring: dict[str, Any], questionnaire: dict[str, Any], checksum: str
) -> Instrument:
    return Instrument(
        id=scoring["instrument"],
        metadata=metadata,
        questionnaire=questionnaire,
        url=questionnaire["url"],
        version=questionnaire["version"],
        algorithm=scoring["algorithm"],
        algorithm_version=scoring["version"],
        checksum=checksum,
        items={item["linkId"]: _item(item, place) for item, place in _all_items(questionnaire["item"], TOP)},
        scores=tuple(_score(score) for score in scoring["scores"]),
        alerts=tuple(_alert(alert) for alert in scoring["alerts"]),
    )


def _all_items(items: list[dict[str, Any]], place: Place) -> Iterator[tuple[dict[str, Any], Place]]:
    """Every item with its place in a response (R4 questionnaireresponse.html)."""
    for item in items:
        yield item, place
        yield from _all_items(item.get("item", []), Place(item["linkId"], in_answer=item.get("type") != "group"))


def _item(item: dict[str, Any], place: Place) -> Item:
    options = dict(_option(item["linkId"], option) for option in item.get("answerOption", []))
    return Item(item["linkId"], options, place)


def _option(link_id: str, option: dict[str, Any]) -> tuple[AnswerKey, Exact]:
    if "valueInteger" in option:
        return ("integer", "", str(option["valueInteger"])), _exact(option["valueInteger"])
    coding = option["valueCoding"]
    for extension in coding.get("extension", []):
        if extension["url"] == ORDINAL_VALUE:
            return ("coding", coding["system"], coding["code"]), _exact(extension["valueDecimal"])
    raise DefinitionError(f"questionnaire.json item {link_id}: option {coding['code']} has no ordinalValue")


def _exact(number: int | Decimal) -> Exact:
    fraction = Fraction(number)
    return fraction.numerator if fraction.denominator == 1 else fraction


def _score(score: dict[str, Any]) -> Score:
    scale = score.get("scale", {"multiply": 1, "add": 0})
    return Score(
        name=score["name"],
        title=score["title"],
        codings=tuple(score.get("codings", ())),
        items=tuple(score["items"]),
        aggregate=score["aggregate"],
        multiply=_exact(scale["multiply"]),
        add=_exact(scale["add"]),
        low=_exact(score["range"]["low"]),
        high=_exact(score["range"]["high"]),
        decimals=score["decimals"],
        unit=score["unit"],
        evidence=score["evidence"],
        missing=_missing_rule(score["missing"]),
        bands=_bands(score["bands"]) if "bands" in score else None,
    )


def _missing_rule(rule: dict[str, Any]) -> MissingRule | None:
    if rule["rule"] == "none":
        return None
    return MissingRule(rule["at_most"], rule["evidence"], rule["source"])


def _bands(bands: dict[str, Any]) -> Bands:
    steps = tuple(Band(_exact(step["from"]), step["code"], step["display"]) for step in bands["steps"])
    return Bands(steps, bands["evidence"], bands["source"])


def _alert(alert: dict[str, Any]) -> Alert:
    return Alert(alert["name"], alert["item"], _exact(alert["above"]), alert["title"], alert["advice"])


def _contradictions(
    instrument: Instrument, scoring: dict[str, Any], questionnaire: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    if scoring["questionnaire"] != instrument.canonical:
        yield "$.questionnaire", f"the Questionnaire here is {instrument.canonical}"
    if instrument.metadata["id"] != instrument.id:
        yield "$.instrument", f"instrument.json is about {instrument.metadata['id']}"
    for index, alert in enumerate(instrument.alerts):
        if alert.item not in instrument.items:
            yield f"$.alerts[{index}].item", f"the Questionnaire has no item {alert.item}"
    for index, score in enumerate(instrument.scores):
        for path, complaint in _score_contradictions(instrument, score):
            yield f"$.scores[{index}]{path}", complaint


def _score_contradictions(instrument: Instrument, score: Score) -> Iterator[tuple[str, str]]:
    for index, link_id in enumerate(score.items):
        if link_id not in instrument.items or not instrument.items[link_id].options:
            yield f".items[{index}]", f"the Questionnaire has no item {link_id} with coded answers"
            return
    reach = sorted(
        (
            score.value([instrument.items[link_id].lowest for link_id in score.items]),
            score.value([instrument.items[link_id].highest for link_id in score.items]),
        )
    )
    if reach != [score.low, score.high]:
        yield ".range", f"the items reach {reach[0]} to {reach[1]}, not {score.low} to {score.high}"
    if score.missing and score.missing.at_most >= len(score.items):
        yield ".missing.at_most", "at least one item must be answered"
    if score.bands:
        starts = [band.start for band in score.bands.steps]
        if starts[0] != score.low or starts != sorted(set(starts)) or starts[-1] > score.high:
            yield ".bands.steps", "bands start at the lowest score, ascend and lie in the range"
