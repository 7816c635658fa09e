"""From the JSON of a definition, checked against its schema, to what the scorer works with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fhir_server.instruments.calculated import CALCULATED
from fhir_server.instruments.definition import (
    NOT_APPLICABLE,
    TOP,
    Alert,
    AnswerKey,
    Band,
    Bands,
    Exact,
    Instrument,
    Item,
    ItemType,
    MissingRule,
    Place,
    Reading,
    Rule,
    Score,
    numbers_of,
)
from fhir_server.instruments.formula import Formula, FormulaError, exact, parse_formula
from fhir_server.instruments.rules import Calculation, Categories, Category, Linear, Lookup, Profile, Strata
from fhir_server.instruments.tables import Table

ORDINAL_VALUE = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
_MIN_VALUE = "http://hl7.org/fhir/StructureDefinition/minValue"
_MAX_VALUE = "http://hl7.org/fhir/StructureDefinition/maxValue"
_MAX_PLACES = "http://hl7.org/fhir/StructureDefinition/maxDecimalPlaces"
_UNIT = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"
_ENABLE_EXPRESSION = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression"
_ABSENT_REASON = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


class DefinitionError(Exception):
    """A definition cannot be used; the message names the file and the path in it."""


def compile_instrument(
    metadata: dict[str, Any],
    scoring: dict[str, Any],
    questionnaire: dict[str, Any],
    tables: Mapping[str, Table],
    checksum: str,
) -> Instrument:
    """Raises DefinitionError."""
    changed = scoring.get("items", {})
    items = {
        item["linkId"]: _item(item, place, changed.get(item["linkId"], {}))
        for item, place in _all_items(questionnaire["item"], TOP)
    }
    for link_id in changed:
        if link_id not in items:
            raise DefinitionError(f"scoring.json $.items: the Questionnaire has no item {link_id}")
    direction = metadata["direction"]
    return Instrument(
        id=scoring["instrument"],
        metadata=metadata,
        questionnaire=questionnaire,
        url=questionnaire["url"],
        version=questionnaire["version"],
        algorithm=scoring["algorithm"],
        algorithm_version=scoring["version"],
        checksum=checksum,
        items=items,
        changed_items=tuple(link_id for link_id, item in items.items() if item.changes_readings),
        offers_not_applicable=any(NOT_APPLICABLE in item.options.values() for item in items.values()),
        conditional=any("enableWhen" in item for item, _ in _all_items(questionnaire["item"], TOP)),
        scores=tuple(
            _score(score, f"scoring.json $.scores[{index}]", tables, direction)
            for index, score in enumerate(scoring["scores"])
        ),
        alerts=tuple(
            Alert(alert["name"], alert["item"], exact(alert["above"]), alert["title"], alert["advice"])
            for alert in scoring["alerts"]
        ),
    )


def _all_items(items: list[dict[str, Any]], place: Place) -> Iterator[tuple[dict[str, Any], Place]]:
    """Every item with its place in a response (R4 questionnaireresponse.html)."""
    for item in items:
        yield item, place
        yield from _all_items(item.get("item", []), Place(item["linkId"], in_answer=item.get("type") != "group"))


def _item(item: dict[str, Any], place: Place, change: dict[str, Any]) -> Item:
    extensions = {extension["url"]: extension for extension in item.get("extension", ())}
    kind: ItemType = item["type"] if item["type"] in ("choice", "integer", "decimal", "quantity") else ""
    if CALCULATED in extensions or (kind == "choice" and not item.get("answerOption")):
        kind = ""
    elif kind == "integer" and item.get("answerOption"):
        kind = "choice"
    options = dict(_option(item["linkId"], option) for option in item.get("answerOption", ()) if kind == "choice")
    if _ENABLE_EXPRESSION in extensions:
        raise DefinitionError(f"questionnaire.json item {item['linkId']}: write the condition as enableWhen")
    unit = extensions.get(_UNIT, {}).get("valueCoding", {}).get("code", "")
    if kind == "quantity" and not unit:
        raise DefinitionError(f"questionnaire.json item {item['linkId']}: a quantity needs its unit")
    return Item(
        link_id=item["linkId"],
        type=kind,
        place=place,
        options=options,
        codings=_codings(options),
        low=_bound(extensions.get(_MIN_VALUE)),
        high=_bound(extensions.get(_MAX_VALUE)),
        step=_step(kind, change, extensions.get(_MAX_PLACES)),
        unit=unit,
        recode=_numbers(change["recode"]) if "recode" in change else None,
        reverse_from=exact(change["reverse_from"]) if "reverse_from" in change else None,
    )


def _codings(options: Mapping[AnswerKey, Reading]) -> dict[tuple[str, str], Reading] | None:
    if not options or any(kind != "coding" for kind, _, _ in options):
        return None
    return {(system, code): reading for (_, system, code), reading in options.items()}


def _bound(extension: dict[str, Any] | None) -> Exact | None:
    if extension is None:
        return None
    return exact(next(value for key, value in extension.items() if key.startswith("value")))


def _step(kind: ItemType, change: dict[str, Any], places: dict[str, Any] | None) -> Exact | None:
    if "step" in change:
        return exact(change["step"])
    if kind == "integer":
        return 1
    return exact(Fraction(1, 10 ** places["valueInteger"])) if kind == "decimal" and places else None


def _option(link_id: str, option: dict[str, Any]) -> tuple[AnswerKey, Reading]:
    if "valueInteger" in option:
        return ("integer", "", str(option["valueInteger"])), option["valueInteger"]
    coding = option["valueCoding"]
    key = ("coding", coding.get("system", ""), coding["code"])
    if coding.get("system") == _ABSENT_REASON and coding["code"] == "not-applicable":
        return key, NOT_APPLICABLE
    for extension in coding.get("extension", ()):
        if extension["url"] == ORDINAL_VALUE:
            return key, exact(extension["valueDecimal"])
    raise DefinitionError(f"questionnaire.json item {link_id}: option {coding['code']} has no ordinalValue")


def _numbers(by_text: dict[str, int | Decimal]) -> dict[Exact, Exact]:
    return {exact(Decimal(text)): exact(number) for text, number in by_text.items()}


def _score(score: dict[str, Any], path: str, tables: Mapping[str, Table], direction: str) -> Score:
    try:
        rule = _rule(score["rule"], tables)
    except (FormulaError, KeyError) as error:
        raise DefinitionError(f"{path}.rule: {error}") from error
    reach = score.get("range", {})
    return Score(
        name=score["name"],
        title=score["title"],
        codings=tuple(score.get("codings", ())),
        rule=rule,
        kind=score["rule"]["kind"],
        inputs=rule.inputs,
        items=tuple(name for name in rule.inputs if not name.startswith(numbers_of(""))),
        low=exact(reach["low"]) if "low" in reach else None,
        high=exact(reach["high"]) if "high" in reach else None,
        decimals=score.get("decimals", 0),
        unit=score.get("unit", ""),
        direction=score.get("direction", direction),
        evidence=score["evidence"],
        source=score.get("source", ""),
        missing=_missing_rule(score["missing"], rule, path),
        bands=_bands(score["bands"]) if "bands" in score else None,
        strata={stratum["code"]: stratum["display"] for stratum in score["rule"].get("strata", ())},
    )


def _rule(rule: dict[str, Any], tables: Mapping[str, Table]) -> Rule:
    kind = rule["kind"]
    if kind in ("sum", "mean"):
        return _linear(rule)
    if kind == "categories":
        return Categories(
            tuple(
                Category(
                    category["name"],
                    tuple(category["items"]),
                    exact(category.get("raise_to", 0)),
                    tuple(category.get("when_any", ())),
                )
                for category in rule["categories"]
            )
        )
    if kind == "table":
        if rule["table"] not in tables:
            raise FormulaError(f"there is no tables/{rule['table']}.json")
        return Lookup(tables[rule["table"]])
    if kind == "formula":
        return Calculation(parse_formula(rule["formula"]))
    if kind == "strata":
        return Strata(tuple((stratum["code"], _condition(stratum)) for stratum in rule["strata"]))
    return Profile(tuple(rule["items"]))


def _condition(holder: dict[str, Any]) -> Formula | None:
    return parse_formula(holder["when"]) if "when" in holder else None


def _linear(rule: dict[str, Any]) -> Linear:
    inputs = (*rule.get("items", ()), *(numbers_of(name) for name in rule.get("scores", ())))
    weights = {**dict.fromkeys(inputs, 1), **_weights(rule.get("weights", {}), inputs)}
    scale = rule.get("scale", {})
    points = {link_id: _numbers(by_text) for link_id, by_text in rule.get("points", {}).items()}
    return Linear(
        inputs=inputs,
        mean=rule["kind"] == "mean",
        weights=tuple(exact(weights[name]) for name in inputs) if "weights" in rule else None,
        points=points or None,
        multiply=exact(Fraction(scale.get("multiply", 1)) / Fraction(scale.get("divide", 1))),
        add=exact(scale.get("add", 0)),
        adjustments=tuple(
            (parse_formula(adjustment["when"]), exact(adjustment["add"])) for adjustment in rule.get("adjust", ())
        ),
        places=rule.get("round"),
    )


def _weights(given: dict[str, int | Decimal], inputs: tuple[str, ...]) -> dict[str, int | Decimal]:
    """By input name; a weight of what is not summed is a mistake."""
    named = {name if name in inputs else numbers_of(name): weight for name, weight in given.items()}
    for name in named:
        if name not in inputs:
            raise FormulaError(f"weights name {name}, which is not summed")
    return named


def _missing_rule(rule: dict[str, Any], summed: Rule, path: str) -> MissingRule | None:
    if rule["rule"] == "none":
        return None
    count = len(summed.categories) if isinstance(summed, Categories) else len(summed.inputs)
    at_most = rule["at_most"] if "at_most" in rule else count - rule["at_least"]
    if not 1 <= at_most < count:
        raise DefinitionError(f"{path}.missing: of {count} at least one may be missing and at least one must be there")
    return MissingRule(at_most, rule["evidence"], rule["source"])


def _bands(bands: dict[str, Any]) -> Bands:
    steps = tuple(
        Band(exact(step["from"] if "from" in step else step["above"]), "above" in step, step["code"], step["display"])
        for step in bands["steps"]
    )
    return Bands(steps, bands["evidence"], bands["source"])
