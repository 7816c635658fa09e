"""Elements of R4 as search expressions see them: JSON keys, types, repetition and the system of a code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fhir_server import spec


@dataclass(frozen=True, slots=True)
class Element:
    """One element with one type: a choice element is one `Element` per type."""

    type_name: str
    """An R4 type, a resource type, or BackboneElement."""
    key: str
    """Its name in JSON (`valueQuantity`)."""
    many: bool
    path: str
    """Where its children are defined: `Observation.component` for a backbone, the type's name otherwise."""
    binding: str = ""
    """Of a code: the value set of its required binding, which implies its system (R4 search.html#token)."""


def root(resource_type: str) -> Element:
    return Element(resource_type, "", False, resource_type)


@cache
def children(parent: Element, name: str) -> tuple[Element, ...]:
    """The elements called `name` below `parent`, one for each type; none when there is no such element."""
    structure = spec.structure(parent.path.partition(".")[0])
    path = f"{parent.path}.{name}"
    definition = structure.elements.get(path)
    if definition is not None:
        return tuple(_element(path, definition, type_name, name) for type_name in definition.types or ("",))
    definition = structure.elements.get(f"{path}[x]")
    if definition is None:
        return ()
    return tuple(
        _element(path, definition, type_name, name + type_name[:1].upper() + type_name[1:])
        for type_name in definition.types
    )


def _element(path: str, definition: spec.Element, type_name: str, key: str) -> Element:
    if definition.content:
        return Element("BackboneElement", key, definition.many, definition.content)
    inline = type_name in ("BackboneElement", "Element")
    binding = definition.binding or "" if type_name == "code" else ""
    return Element(type_name, key, definition.many, path if inline else type_name, binding)


@cache
def type_and_bases(type_name: str) -> tuple[str, ...]:
    """A type and the types it specialises: a canonical is a uri, an Age a Quantity."""
    base = spec.structure(type_name).base if spec.is_type(type_name) else None
    return (type_name, *type_and_bases(base)) if base else (type_name,)


@cache
def implied_systems(binding: str) -> dict[str, str]:
    """code -> system of the value set `binding`; empty when its codes cannot be listed."""
    systems = spec.codes(binding) or {}
    return {code: system for system, codes in systems.items() for code in codes}
