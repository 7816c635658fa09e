"""All invariants of R4 over its own example resources (conformance-rules.html#constraints)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from fhir_server import fhirpath, spec
from fhir_server.fhirpath.node import Node, children, path
from fhir_server.fhirpath.types import type_of_resource
from tests.r4_examples import example, example_texts, faulty_examples

BROKEN = {
    # A warning of good practice: a resource should have a narrative.
    "dom-6": 238,
    # Warnings: names with spaces.
    "pdf-0": 6,
    "tst-0": 1,
    # docs/spec-clarifications/fhirpath.md, fp-3: R4 writes Boolean for boolean.
    "que-7": 1,
}
"""Invariant -> how many elements of valid examples break it."""


def nodes(resource: dict[str, Any]) -> Iterator[Node]:
    stack: list[Any] = [Node(resource, type_of_resource(resource))]
    while stack:
        node = stack.pop()
        stack += children(node)
        yield node


def invariants(node: Node) -> dict[str, str]:
    """key -> expression, of the type of a node and of the element it is."""
    name = node.type.name
    found = {key: text for key, _, text in spec.structure(name.partition(".")[0]).elements[name].invariants}
    if node.parent is not None:
        owner = node.parent.type.name
        for element_name, element in spec.structure(owner.partition(".")[0]).children.get(owner, {}).items():
            base = element_name.removesuffix("[x]")
            if node.key == base or (element_name != base and node.key.startswith(base)):
                found |= {key: text for key, _, text in element.invariants}
    return found


def test_every_invariant_of_r4_compiles() -> None:
    count = 0
    for type_name in (*spec.RESOURCE_TYPES, "Extension", "Period", "Quantity", "ElementDefinition", "Narrative"):
        for element in spec.structure(type_name).elements.values():
            for _, _, text in element.invariants:
                fhirpath.compile(text)
                count += 1
    assert count > 900


def test_no_invariant_raises_and_only_known_ones_are_broken() -> None:
    broken: Counter[str] = Counter()
    checked = 0
    for file in example_texts():
        resource = example(file)
        if resource.get("resourceType") not in spec.RESOURCE_TYPES:
            continue
        for node in nodes(resource):
            if node.value is None:
                continue
            variables = {"resource": node.resource, "rootResource": Node(resource, type_of_resource(resource))}
            for key, text in invariants(node).items():
                given = variables if "%resource" in text or "%rootResource" in text else None
                checked += 1
                if not fhirpath.compile(text).holds(node.value, given, type_name=node.type.name):
                    if file in faulty_examples():
                        assert key in BROKEN or path(node) in faulty_examples()[file], (file, key, path(node))
                    broken[key] += file not in faulty_examples() or key in BROKEN
    assert checked > 20_000
    assert {key: count for key, count in broken.items() if count} == BROKEN
