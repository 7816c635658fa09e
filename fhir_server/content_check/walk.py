"""Every element of a resource with its R4 type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server import spec
from fhir_server.content_check.finding import Path
from fhir_server.validation.structure import ANY_RESOURCE, Shape, shape


@dataclass(frozen=True, slots=True)
class Node:
    """One element, one item of a repeating one."""

    path: Path
    name: str
    """As FHIRPath says it: value for valueCode."""
    type_name: str
    """An R4 type, or the path of a backbone element."""
    value: Any


def nodes(resource: dict[str, Any]) -> Iterator[Node]:
    """In the order of the file; what R4 does not know is left out (the structure rule names it)."""
    if resource.get("resourceType") in spec.RESOURCE_TYPES:
        yield from _members(resource, shape(resource["resourceType"]), ())


def _members(holder: dict[str, Any], prepared: Shape, path: Path) -> Iterator[Node]:
    for key, content in holder.items():
        field = prepared.fields.get(key.removeprefix("_"))
        if field is None:
            continue
        items = [((*path, key, n), item) for n, item in enumerate(content)] if isinstance(content, list) else []
        for place, item in items or [((*path, key), content)]:
            if key.startswith("_"):
                if isinstance(item, dict):
                    yield from _members(item, shape("Element"), place)
                continue
            yield Node(place, field.name, field.type_name, item)
            if isinstance(item, dict) and not field.primitive:
                yield from _children(item, field.type_name, place)


def _children(value: dict[str, Any], type_name: str, path: Path) -> Iterator[Node]:
    if type_name == ANY_RESOURCE:
        type_name = str(value.get("resourceType", ""))
        if type_name not in spec.RESOURCE_TYPES:
            return
    yield from _members(value, shape(type_name), path)
