"""Definitions with one number changed, each of which the golden vectors must tell from the right one.

The checks at load (ranges, schema) are left out, so that it is the vectors that tell. Not changed: what makes no
difference (options of questions in no score or that count the same, band edges between two cells of a table), and
the tables of thousands of cells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from fhir_server.instruments.compiling import DefinitionError, compile_instrument
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.tables import table_of
from tests.instruments.golden import disagreements, vectors
from tests.instruments.responses import QUESTIONNAIRES

LARGE = 1000
"""Cells of a table that are not changed one by one."""
_CONSTANT = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_Change = tuple[str, "Definition"]


@dataclass(frozen=True)
class Definition:
    """The documents of one instrument's folder."""

    metadata: dict[str, Any]
    scoring: dict[str, Any]
    questionnaire: dict[str, Any]
    tables: dict[str, dict[str, Any]]

    def instrument(self) -> Instrument:
        tables = {name: table_of(document) for name, document in self.tables.items()}
        return compile_instrument(self.metadata, self.scoring, self.questionnaire, tables, "")


def definition(instrument_id: str) -> Definition:
    folder = QUESTIONNAIRES / instrument_id

    def read(name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((folder / name).read_text(), parse_float=Decimal)
        return document

    tables = (read(f"tables/{path.name}") for path in sorted((folder / "tables").glob("*.json")))
    return Definition(
        read("instrument.json"),
        read("scoring.json"),
        read("questionnaire.json"),
        {table["id"]: table for table in tables},
    )


def unnoticed(instrument_id: str, every: int = 1) -> Iterator[str]:
    """Of each `every`th change those that no vector of the instrument tells."""
    expected = vectors(instrument_id)
    for number, (name, changed) in enumerate(mutations(definition(instrument_id))):
        if number % every == 0 and not _noticed(changed, expected):
            yield name


def _noticed(changed: Definition, expected: list[dict[str, Any]]) -> bool:
    try:
        instrument = changed.instrument()
    except DefinitionError:
        return True  # it cannot even be used
    try:
        return any(True for vector in expected for _ in disagreements(instrument, vector))
    except (ArithmeticError, LookupError):
        return True  # the changed rule has no value


def mutations(right: Definition) -> Iterator[_Change]:
    for index, score in enumerate(right.scoring["scores"]):
        for what, path, value in _of_score(score):
            yield f"{score['name']}: {what}", _with_scoring(right, ["scores", index, *path], value)
    for link_id in sorted(_scored(right)):
        yield from _of_item(right, link_id)
    for name, table in right.tables.items():
        if len(table["values"]) < LARGE:
            for place, cell in enumerate(table["values"]):
                changed = deepcopy(table)
                changed["values"][place] = 1 if cell is None else cell + Decimal("0.001")
                tables = {**right.tables, name: changed}
                yield f"{name}: cell {place}", Definition(right.metadata, right.scoring, right.questionnaire, tables)


def _of_score(score: dict[str, Any]) -> Iterator[tuple[str, list[Any], Any]]:
    """What is changed, where in the score, and to what."""
    rule = score["rule"]
    if rule["kind"] in ("sum", "mean"):
        for name in (*rule.get("items", ()), *rule.get("scores", ())):
            weights = rule.get("weights", {})
            yield f"weight of {name}", ["rule", "weights"], {**weights, name: weights.get(name, 1) * Decimal("1.5")}
        for part, number in rule.get("scale", {}).items():
            yield part, ["rule", "scale", part], number + Decimal("0.01")
        for link_id, by_text in rule.get("points", {}).items():
            for raw, number in by_text.items():
                yield f"points of {link_id} {raw}", ["rule", "points", link_id, raw], number + Decimal("0.01")
        for place, adjustment in enumerate(rule.get("adjust", ())):
            yield f"adjustment {place}", ["rule", "adjust", place, "add"], adjustment["add"] + Decimal("0.01")
    if rule["kind"] == "formula":
        for constant in _CONSTANT.finditer(rule["formula"]):
            other = Decimal(constant[0]) * 2 or 1
            text = f"{rule['formula'][: constant.start()]}{other}{rule['formula'][constant.end() :]}"
            yield f"{constant[0]} at {constant.start()} of the formula", ["rule", "formula"], text
    for bound in ("at_most", "at_least"):
        if bound in score["missing"]:
            for step in (1, -1):
                yield f"{bound} {step:+}", ["missing", bound], score["missing"][bound] + step
    for path, part in (([], score), (["missing"], score["missing"])):
        # where the whole rule is from memory, what else is makes no difference
        whole = path and score["evidence"] == "memory"
        if "evidence" in part and rule["kind"] != "strata" and not whole:
            other = "secondary" if part["evidence"] == "memory" else "memory"
            yield f"evidence of {(path or ['the rule'])[0]}", [*path, "evidence"], other


def _of_item(right: Definition, link_id: str) -> Iterator[_Change]:
    change = right.scoring.get("items", {}).get(link_id, {})
    if "reverse_from" in change:
        yield f"{link_id}: not reversed", _with_scoring(right, ["items", link_id], {})
    for raw, number in change.get("recode", {}).items():
        other = number + Decimal("0.01")
        yield f"{link_id}: recode of {raw}", _with_scoring(right, ["items", link_id, "recode", raw], other)
    ordinals = _ordinals(_question(right.questionnaire, link_id))
    for one, other in pairwise(place for place, value in enumerate(ordinals) if value):
        if not _tells_apart(right, link_id, ordinals[one], ordinals[other]):
            continue
        questionnaire = deepcopy(right.questionnaire)
        swapped = _ordinals(_question(questionnaire, link_id))
        first, second = swapped[one], swapped[other]
        first["valueDecimal"], second["valueDecimal"] = second["valueDecimal"], first["valueDecimal"]
        changed = Definition(right.metadata, right.scoring, questionnaire, right.tables)
        yield f"{link_id}: options {one} and {other} swapped", changed


def _with_scoring(right: Definition, path: list[Any], value: Any) -> Definition:
    scoring = deepcopy(right.scoring)
    parent = scoring
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return Definition(right.metadata, scoring, right.questionnaire, right.tables)


def _scored(right: Definition) -> set[str]:
    instrument = right.instrument()
    return {link_id for score in instrument.scores for link_id in score.items}


def _question(parent: dict[str, Any], link_id: str) -> dict[str, Any]:
    pending = list(parent["item"])
    while True:
        question: dict[str, Any] = pending.pop()
        if question["linkId"] == link_id:
            return question
        pending += question.get("item", [])


def _ordinals(question: dict[str, Any]) -> list[dict[str, Any]]:
    """The extension with the raw code of each option; empty where one has no code."""
    options = (option["valueCoding"] for option in question.get("answerOption", ()))
    return [next(iter(option.get("extension", ())), {}) for option in options]


def _tells_apart(right: Definition, link_id: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether some score counts the two raw codes differently."""
    raw, another = str(one["valueDecimal"]), str(other["valueDecimal"])
    recode = right.scoring.get("items", {}).get(link_id, {}).get("recode", {})
    if recode and recode[raw] == recode[another]:
        return False
    rules = [score["rule"] for score in right.scoring["scores"]]
    points = [rule["points"][link_id] for rule in rules if link_id in rule.get("points", {})]
    return not points or any(by_text[raw] != by_text[another] for by_text in points)
