"""The rules of a scoring definition in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.instrument_pages.instrument import Instrument, Json

_FEW = 6
"""Items that are named without being counted."""


def rule(one: Instrument, rule: Json) -> str:
    kind = rule["kind"]
    if kind in ("sum", "mean"):
        return f"{kind} of {_named(rule)}{_linear(rule)}"
    if kind == "categories":
        names = ", ".join(category["name"] for category in rule["categories"])
        return f"mean over the categories {names} of the highest item of each, raised where an aid or help is used"
    if kind == "table":
        table = one.tables[rule["table"]]
        by = ", ".join(_dimension(dimension) for dimension in table["dimensions"])
        return (
            f"read from the table `{rule['table']}` ({len(table['values'])} cells by {by}; {table['evidence']}: "
            f"{table['source']})"
        )
    if kind == "formula":
        return f"`{rule['formula']}`"
    if kind == "strata":
        return "; ".join(
            f"{stratum['display']} if `{stratum['when']}`" if "when" in stratum else f"else {stratum['display']}"
            for stratum in rule["strata"]
        )
    return f"the raw answers of {_named(rule)}, side by side"


def _named(rule: Json) -> str:
    names = [*rule.get("items", ()), *(f"score.{name}" for name in rule.get("scores", ()))]
    if len(names) > _FEW:
        return f"{len(names)} items, {', '.join(f'`{name}`' for name in names)}"
    return ", ".join(f"`{name}`" for name in names)


def _linear(rule: Json) -> str:
    scale = rule.get("scale", {})
    weights = ", ".join(f"`{name}` x {weight}" for name, weight in rule.get("weights", {}).items())
    points = "; ".join(f"`{name}` {_pairs(by)}" for name, by in rule.get("points", {}).items())
    added = "; ".join(f"{one['add']} if `{one['when']}`" for one in rule.get("adjust", ()))
    told = [
        f", weighted ({weights})" if weights else "",
        f", as points ({points})" if points else "",
        f", x {scale['multiply']}" if "multiply" in scale else "",
        f", divided by {scale['divide']}" if "divide" in scale else "",
        f", + {scale['add']}" if "add" in scale else "",
        f"; added: {added}" if added else "",
        f", rounded half up to {rule['round']} decimals on the way" if "round" in rule else "",
    ]
    return "".join(told)


def _pairs(by_answer: Mapping[str, Any]) -> str:
    return ", ".join(f"{answer} is {value}" for answer, value in by_answer.items())


def _dimension(dimension: Json) -> str:
    if "sex" in dimension:
        return "sex"
    if "age" in dimension:
        return "age"
    if "sum" in dimension:
        return f"the sum of {len(dimension['sum'])} items"
    return f"`{dimension['item']}`" if "item" in dimension else f"`score.{dimension['score']}`"


def changed(one: Instrument, rule: Json) -> str:
    """Items of the rule whose answers are recoded or reversed."""
    told = []
    for name, change in one.scoring.get("items", {}).items():
        if name not in rule.get("items", ()):
            continue
        if "reverse_from" in change:
            told.append(f"`{name}` counts as {change['reverse_from']} minus the answer")
        if "recode" in change:
            told.append(f"`{name}`: {_pairs(change['recode'])}")
    return "; ".join(told)
