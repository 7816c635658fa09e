"""What a search parameter sees of a resource, found by fhirpathpy over R4's own expressions.

Nothing here knows the server: the SearchParameters are data of the specification.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fhirpathpy
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.models import models

Json = dict[str, Any]
DEFINITIONS: dict[str, dict[str, Json]] = json.loads(
    (Path(__file__).parents[2] / "fhir_server" / "spec" / "search_parameters.json").read_text()
)


_container: dict[str, Json] = {}
"""The contained resources of what is being evaluated, for resolve()."""


@dataclass(frozen=True)
class Value:
    """One element that a parameter looks at: its R4 type and its JSON."""

    type: str
    data: Any


def definition(resource_type: str, code: str) -> Json | None:
    return DEFINITIONS[resource_type].get(code)


def target_types(resource_type: str, code: str) -> list[str]:
    """The types that a reference parameter may refer to: `patient` only to Patients, whatever its `target` says."""
    known = DEFINITIONS[resource_type][code]
    only = re.search(r"resolve\(\) is (\w+)", known["expression"])
    return [only[1]] if only else list(known.get("targets", ()))


def values(resource: Json, expression: str, base: str = "") -> list[Value]:
    """The elements that `expression` finds in `resource`, or in an element of type `base`.

    Each part of a union is evaluated by itself: fhirpathpy loses the types of a union's items.
    """
    _container.clear()
    _container.update({f"#{one['id']}": one for one in resource.get("contained", [])})
    context = ResourceNode.create_node(resource, base) if base else resource
    found = []
    for part in _parts(expression):
        for node in _compiled(part)(context, {}):
            data = node.data if isinstance(node, ResourceNode) else node
            if data is not None and data != {}:
                found.append(Value(_type(node, data), data))
    return found


def _type(node: Any, data: Any) -> str:
    if isinstance(node, ResourceNode) and node.path:
        return str(node.path)
    assert isinstance(data, bool), (node, data)
    return "System.Boolean"


@cache
def _parts(expression: str) -> tuple[str, ...]:
    """The parts of a union on the outermost level."""
    parts, depth = [""], 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        if character == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return tuple(part.strip() for part in parts)


@cache
def _compiled(expression: str) -> Callable[[Any, Json], list[Any]]:
    # `as` is for one item, and R4's expressions mean all of them. It writes as(DateTime) in
    # Observation-code-value-date; the type is dateTime. fhirpathpy takes a name at the start for a type only when the
    # resource has it, so expressions over Resource start at the root.
    text = re.sub(r"\((\S+) as (\w+)\)", r"\1.ofType(\2)", expression).replace(".as(", ".ofType(")
    text = text.replace("ofType(DateTime)", "ofType(dateTime)").removeprefix("Resource.")
    options = {"returnRawData": True, "userInvocationTable": {"resolve": {"fn": _resolve, "arity": {0: []}}}}
    evaluate: Callable[[Any, Json], list[Any]] = fhirpathpy.compile(text, models["r4"], options)
    return evaluate


def _resolve(inputs: list[Any]) -> list[Any]:
    """A stand-in for each target, of the type that the reference itself names (search-7: nothing is resolved)."""
    found = []
    for each in inputs:
        reference = each.data if isinstance(each, ResourceNode) else each
        contained = _container.get(reference.get("reference", ""))
        if name := contained["resourceType"] if contained else named_type(reference):
            found.append(ResourceNode.create_node({"resourceType": name}))
    return found


def named_type(reference: Json) -> str | None:
    """The resource type that a Reference names, in its URL or in `type`."""
    parts = reference.get("reference", "").split("/_history/")[0].split("/")
    if len(parts) >= 2 and parts[-2] in DEFINITIONS:
        return str(parts[-2])
    return reference.get("type")
