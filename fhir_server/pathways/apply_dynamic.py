"""Dynamic values: elements of a step's resource that an expression gives (R4 PlanDefinition.action.dynamicValue).

Paths are the simple ones that R4 allows there: names and indexes, `code.text`, `note[0].text`; a choice by its JSON
name, `occurrenceString`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server import spec

Json = dict[str, Any]

_STEP = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\[(\d{1,2})\])?")
_KEPT = frozenset(
    (
        "resourceType", "id", "meta", "implicitRules", "contained", "extension", "modifierExtension", "text",
        "instantiatesCanonical", "instantiatesUri", "basedOn", "status", "statusReason", "for", "subject",
        "restriction", "requestedPeriod", "occurrencePeriod", "authoredOn", "lastModified", "created", "participant",
        "supportingInformation", "cancelationReason",
    )
)  # fmt: skip
"""What the plan itself keeps in its steps."""


class NoSuchPath(Exception):
    """The resource has no such element, or cannot hold this there."""


def is_settable(path: str) -> bool:
    """Whether it is of that form and no element that the plan itself keeps."""
    parts = path.split(".")
    return all(_STEP.fullmatch(part) for part in parts) and parts[0].partition("[")[0] not in _KEPT


def check_path(kind: str, path: str) -> None:
    """Raises NoSuchPath."""
    for _ in _walk(kind, path):
        pass


def set_value(resource: Json, path: str, values: list[Any]) -> None:
    """Give the element at `path` these values; none leave it as it is. Raises NoSuchPath."""
    if not values:
        return
    holder = resource
    steps = list(_walk(resource["resourceType"], path))
    for name, index, many in steps[:-1]:
        holder = _inside(holder, name, index, many)
    name, index, many = steps[-1]
    if many and index is None:
        holder[name] = values
        return
    if len(values) > 1:
        raise NoSuchPath(f"{path} holds one value, not {len(values)}")
    if many:
        _place(holder.setdefault(name, []), index or 0, values[0], path)
    else:
        holder[name] = values[0]


def _inside(holder: Json, name: str, index: int | None, many: bool) -> Json:
    if not many:
        found: Json = holder.setdefault(name, {})
        return found
    listed = holder.setdefault(name, [])
    if (index or 0) == len(listed):
        listed.append({})
    if (index or 0) > len(listed):
        raise NoSuchPath(f"{name} has no place {index}")
    inside: Json = listed[index or 0]
    return inside


def _place(listed: list[Any], index: int, value: Any, path: str) -> None:
    if index > len(listed):
        raise NoSuchPath(f"{path} leaves places before it empty")
    listed[index : index + 1] = [value]


def _walk(kind: str, path: str) -> Iterator[tuple[str, int | None, bool]]:
    """(JSON name, index, whether it repeats) of each step."""
    structure, place = kind, kind
    for part in path.split("."):
        matched = _STEP.fullmatch(part)
        if matched is None:
            raise NoSuchPath(f"{path} is not a path of names and indexes")
        name, index = matched[1], None if matched[2] is None else int(matched[2])
        element, place, type_name = _child(structure, place, name, path)
        if index is not None and not element.many:
            raise NoSuchPath(f"{name} of {path} does not repeat")
        yield name, index, element.many
        if type_name is not None:
            structure = place = type_name


def _child(structure: str, place: str, name: str, path: str) -> tuple[spec.Element, str, str | None]:
    """The element; its path; its type, None when its children are defined in place."""
    children = spec.structure(structure).children.get(place, {})
    for known, element in children.items():
        base = known.removesuffix("[x]")
        if known == name and base == name:
            inline = element.types[:1] in (("BackboneElement",), ("Element",)) or not element.types
            return element, f"{place}.{known}", None if inline else element.types[0]
        if base != known and name.startswith(base):
            for type_name in element.types:
                if name == base + type_name[0].upper() + type_name[1:]:
                    return element, f"{place}.{known}", type_name
    raise NoSuchPath(f"{structure} has no {path}")
