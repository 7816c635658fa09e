"""The order of a search's matches (R4 search.html#sort, reading search-11)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.oracle import matching
from tests.oracle.expressions import DEFINITIONS, Json, Value
from tests.oracle.text import folded
from tests.oracle.world import World

SORTABLE = frozenset(("date", "string", "number", "quantity", "uri"))
"""The parameter types whose order R4 leaves no doubt about."""


def sortable(resource_type: str, code: str) -> bool:
    return code == "_id" or DEFINITIONS[resource_type][code]["type"] in SORTABLE


def out_of_order(world: World, matches: list[Json], sort: str) -> list[tuple[str, str]]:
    """Pairs of neighbours that stand the wrong way round."""
    rules = [(rule.removeprefix("-"), rule.startswith("-")) for rule in sort.split(",")]
    ranks = [(one["id"], [_rank(world, one, code, descending) for code, descending in rules]) for one in matches]
    return [(a, b) for (a, first), (b, second) in pairwise(ranks) if _after(first, second, rules)]


def _after(first: list[Any], second: list[Any], rules: list[tuple[str, bool]]) -> bool:
    """Whether what comes first should not."""
    for a, b, (_, descending) in zip(first, second, rules, strict=True):
        if a == b:
            continue
        if a is None or b is None:
            return a is None  # resources without a value come last
        return bool(a < b if descending else a > b)
    return False


def _rank(world: World, resource: Json, code: str, descending: bool) -> Any:
    """Of several values, the one that comes first in the order asked for."""
    found = [key for value in world.values(resource, code) for key in _keys(world, resource, code, value)]
    return (max(found) if descending else min(found)) if found else None


def _keys(world: World, resource: Json, code: str, value: Value) -> list[Any]:
    if code in ("_id", "_lastUpdated"):
        return [value.data]
    match DEFINITIONS[resource["resourceType"]][code]["type"]:
        case "date":
            span = matching.date_range(value, world.time_zone)
            return [] if span is None else [-float("inf") if span.low is None else span.low]
        case "string":
            return [text for each in matching.searched_strings(value) if (text := folded(each))]
        case "number":
            return [] if isinstance(value.data, dict) else [float(value.data)]
        case "quantity":
            return [float(value.data["value"])] if value.data.get("value") is not None else []
    return [str(value.data).partition("|")[0] if value.type == "canonical" else value.data]
