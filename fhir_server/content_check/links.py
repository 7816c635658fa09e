"""References inside an artefact: actions of a plan, items of a form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.content_check.finding import Fault
from fhir_server.content_check.walk import Node

ACTION, ITEM = "PlanDefinition.action", "Questionnaire.item"


def link_faults(resource: dict[str, Any], elements: Sequence[Node]) -> Iterator[Fault]:
    """R4 plandefinition.html: relatedAction.actionId; questionnaire.html: que-2 and enableWhen.question."""
    kind = resource["resourceType"]
    if kind == "PlanDefinition":
        yield from _linked(elements, ACTION, "id", "relatedAction", "actionId")
    elif kind == "Questionnaire":
        yield from _linked(elements, ITEM, "linkId", "enableWhen", "question")


def _linked(elements: Sequence[Node], holder: str, key: str, link: str, target: str) -> Iterator[Fault]:
    found = [node for node in elements if node.type_name == holder]
    keys = Counter(node.value.get(key) for node in found)
    for node in found:
        own = node.value.get(key)
        if own is not None and keys[own] > 1:
            yield Fault((*node.path, key), f"The {key} {own} is there {keys[own]} times.")
        for n, one in enumerate(node.value.get(link, ())):
            if one.get(target) not in keys:
                yield Fault((*node.path, link, n, target), f"There is no {key} {one.get(target)}.")
