"""Structures prepared for checking: JSON keys with what each takes, built from `spec` when first needed.

Both the fast check (`fast.py`) and the one that finds every issue (`walker.py`) read these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fhir_server import spec

ANY_RESOURCE = "Resource"


@dataclass(frozen=True, slots=True)
class Field:
    """One JSON key of an object, for one type of the element."""

    key: str
    name: str
    """The element's name as FHIRPath says it: value for valueQuantity."""
    type_name: str
    """A primitive or datatype, Resource for any resource, or the path of a backbone element."""
    many: bool
    primitive: bool
    codes: frozenset[str] | None = None
    """The codes of a required binding that can be listed."""
    targets: frozenset[str] | None = None
    """The resource types a Reference may point at; None: any."""


@dataclass(frozen=True, slots=True)
class Group:
    """An element that must be there, or a choice of which at most one key may be."""

    name: str
    keys: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What an object at one place may and must hold."""

    path: str
    fields: dict[str, Field]
    groups: tuple[Group, ...]
    resource: bool


@cache
def shape(path: str) -> Shape:
    """The shape of a type (`HumanName`, `Patient`) or of a backbone element by its path (`Patient.contact`)."""
    type_name = path.partition(".")[0]
    structure = spec.structure(type_name)
    fields: dict[str, Field] = {}
    groups = []
    for name, element in structure.children.get(path, {}).items():
        if element.max == "0":
            continue
        made = _fields(path, name, element)
        fields.update({field.key: field for field in made})
        if element.min or len(made) > 1:
            groups.append(Group(name.removesuffix("[x]"), tuple(field.key for field in made), element.min > 0))
    return Shape(path, fields, tuple(groups), structure.kind == "resource" and path == type_name)


def _fields(path: str, name: str, element: spec.Element) -> list[Field]:
    if element.content is not None:
        return [Field(name, name, element.content, element.many, False)]
    codes = None
    if element.binding is not None and "code" in element.types:
        listed = spec.codes(element.binding)
        codes = frozenset(code for codes in listed.values() for code in codes) if listed else None
    targets = frozenset(element.targets) - {ANY_RESOURCE} or None
    if ANY_RESOURCE in element.targets:
        targets = None
    base = name.removesuffix("[x]")
    found = []
    for type_name in element.types:
        key = base + type_name[0].upper() + type_name[1:] if name.endswith("[x]") else name
        inline = (
            type_name in ("BackboneElement", "Element")
            and f"{path}.{name}" in spec.structure(path.partition(".")[0]).children
        )
        declared = f"{path}.{name}" if inline else type_name
        primitive = not inline and spec.structure(type_name).kind == "primitive-type"
        found.append(
            Field(
                key,
                base,
                declared,
                element.many,
                primitive,
                codes if type_name == "code" else None,
                targets if type_name == "Reference" else None,
            )
        )
    return found
