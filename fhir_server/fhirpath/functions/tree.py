"""Tree navigation (http://hl7.org/fhirpath/N1/#tree-navigation)."""

from __future__ import annotations

from fhir_server.fhirpath.evaluation import Evaluation
from fhir_server.fhirpath.functions.registry import of_collection
from fhir_server.fhirpath.node import Item, Node, children


def _children(evaluation: Evaluation, items: list[Item]) -> list[Item]:
    out: list[Item] = []
    for item in items:
        if type(item) is Node:
            out += children(item)
    return out


def _descendants(evaluation: Evaluation, items: list[Item]) -> list[Item]:
    out: list[Item] = []
    level = items
    while level:
        level = _children(evaluation, level)
        out += level
        evaluation.keep(out)
    return out


FUNCTIONS = {
    "children": of_collection(_children, ordered=False),
    "descendants": of_collection(_descendants, ordered=False),
}
