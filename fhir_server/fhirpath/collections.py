"""Collections without duplicates, combined and compared (http://hl7.org/fhirpath/N1/#collections, #combining)."""

from __future__ import annotations

from typing import Any

from fhir_server.fhirpath.code import Code, RawRun
from fhir_server.fhirpath.equality import key
from fhir_server.fhirpath.evaluation import Evaluation
from fhir_server.fhirpath.node import Item
from fhir_server.fhirpath.types import TypeInfo


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
        raw = _raw_union(left.raw, right.raw, types[0])
    return Code(types, items=run, raw=raw)


def _raw_union(ours: RawRun, theirs: RawRun, info: TypeInfo) -> RawRun | None:
    """Strings and elements are equal when JSON says so."""
    if info.system == "string":
        return lambda evaluation, this: list(dict.fromkeys(ours(evaluation, this) + theirs(evaluation, this)))
    if info.system:
        return None

    def run(evaluation: Evaluation, this: Any) -> list[Any]:
        found = ours(evaluation, this) + theirs(evaluation, this)
        if len(found) < 2:
            return found
        evaluation.keep(found)
        evaluation.charge(len(found) * len(found) // 2)
        out: list[Any] = []
        for value in found:
            if value not in out:
                out.append(value)
        return out

    return run


def keys(evaluation: Evaluation, items: list[Item]) -> set[Any]:
    evaluation.charge(len(items))
    return {key(item) for item in items}
