"""Collections without duplicates, combined and compared (http://hl7.org/fhirpath/N1/#collections, #combining)."""

from __future__ import annotations

from typing import Any

from fhir_server.fhirpath.code import Code
from fhir_server.fhirpath.equality import key
from fhir_server.fhirpath.evaluation import Evaluation
from fhir_server.fhirpath.node import Item


def distinct_items(evaluation: Evaluation, items: list[Item]) -> list[Item]:
    """Without items that equal an earlier one."""
    if len(items) < 2:
        return items
    evaluation.charge(len(items))
    seen: dict[Any, Item] = {}
    for item in items:
        seen.setdefault(key(item), item)
    return list(seen.values())


def union(left: Code, right: Code) -> Code:
    """`left | right`"""
    ours, theirs = left.items(), right.items()
    types = None
    if left.types is not None and right.types is not None:
        types = tuple(dict.fromkeys(left.types + right.types))

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        return distinct_items(evaluation, evaluation.keep(ours(evaluation, this) + theirs(evaluation, this)))

    raw = None
    if types is not None and len(types) == 1 and left.raw is not None and right.raw is not None:
        a, b = left.raw, right.raw
        # Strings are equal when JSON says so.
        if types[0].system == "string":

            def raw(evaluation: Evaluation, this: Any) -> list[Any]:
                return list(dict.fromkeys(a(evaluation, this) + b(evaluation, this)))

    return Code(types, items=run, raw=raw)


def keys(evaluation: Evaluation, items: list[Item]) -> set[Any]:
    evaluation.charge(len(items))
    return {key(item) for item in items}
