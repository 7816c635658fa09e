"""CodeSystems and ValueSets for tests, and what a test may compare with: trees built by arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.interactions.draft import prepare
from fhir_server.storage.base import Draft
from fhir_server.validation import validate

S = "http://example.org/cs"
V = "http://example.org/vs"


def drafts(resources: Iterable[dict[str, Any]]) -> Iterator[Draft]:
    for resource in resources:
        validate(resource)
        yield prepare(dict(resource), resource["id"], time_zone="Europe/London")


def concept(code: str, *children: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A concept; a property that is a bool is a boolean, others are codes, several in a tuple."""
    made: dict[str, Any] = {"code": code}
    values = [
        {"code": name, "valueBoolean" if isinstance(value, bool) else "valueCode": value}
        for name, given in properties.items()
        for value in (given if isinstance(given, tuple) else (given,))
    ]
    if values:
        made["property"] = values
    if children:
        made["concept"] = list(children)
    return made


def code_system(*concepts: dict[str, Any], **elements: Any) -> dict[str, Any]:
    given = {"id": "cs", "url": S, "status": "active", "content": "complete", "hierarchyMeaning": "is-a", **elements}
    made = {"resourceType": "CodeSystem", **{name: value for name, value in given.items() if value is not None}}
    return {**made, "concept": list(concepts)} if concepts else made


def value_set(*includes: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """`exclude`, `inactive` and `lockedDate` go into the compose."""
    compose: dict[str, Any] = {"include": list(includes)}
    for name in ("exclude", "inactive", "lockedDate"):
        if name in elements:
            compose[name] = elements.pop(name)
    made = {"resourceType": "ValueSet", "id": "vs", "url": V, "status": "active", **elements}
    return {**made, "compose": compose} if includes else made


def listing(*codes: str, system: str = S, **more: Any) -> dict[str, Any]:
    return {"system": system, "concept": [{"code": code} for code in codes], **more}


def rule(op: str, value: str, name: str = "concept") -> dict[str, str]:
    return {"property": name, "op": op, "value": value}


def filtered(*rules: dict[str, str], system: str = S, **more: Any) -> dict[str, Any]:
    return {"system": system, "filter": list(rules), **more}


TREE_SIZE = 10_000
TREE_WIDTH = 3
"""Each concept of the tree has so many children: 8 levels below the top one hold 10,000 concepts."""


def tree_code(position: int) -> str:
    return f"c{position:05}"


def tree(**elements: Any) -> dict[str, Any]:
    """c00000 above all; the parent of n is (n - 1) // 3. Nested, as code systems mostly are."""
    concepts = [
        {"code": tree_code(n), "display": f"Concept {n}", "definition": f"The concept with the number {n}"}
        for n in range(TREE_SIZE)
    ]
    for n in range(TREE_SIZE - 1, 0, -1):
        concepts[(n - 1) // TREE_WIDTH].setdefault("concept", []).insert(0, concepts[n])  # type: ignore[attr-defined]
    return code_system(concepts[0], **elements)


def tree_below(top: int) -> set[str]:
    """By arithmetic alone: the codes of `top` and of all whose chain of parents meets it."""
    found = set()
    for n in range(TREE_SIZE):
        at = n
        while at > top:
            at = (at - 1) // TREE_WIDTH
        if at == top:
            found.add(tree_code(n))
    return found


def tree_above(bottom: int) -> set[str]:
    chain = [bottom]
    while chain[-1]:
        chain.append((chain[-1] - 1) // TREE_WIDTH)
    return {tree_code(n) for n in chain}
