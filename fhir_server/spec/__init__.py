"""Facts of R4 (4.0.1): elements, types, code lists, search parameters and compartments.

Compiled by tools/compile_spec.py from the package that manifest.json names; a type is decoded when first asked for.
"""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec

_FOLDER = Path(__file__).parent


class Element(msgspec.Struct, frozen=True):
    """One element definition of a structure, by its path (`Observation.value[x]`)."""

    min: int
    max: str
    types: tuple[str, ...] = ()
    """R4 type names; BackboneElement or Element when its children are defined in place; empty with `content`."""
    targets: tuple[str, ...] = ()
    """Resource types a Reference or canonical may point at; empty or Resource: any."""
    content: str | None = None
    """Path of the element whose definition is used again (contentReference)."""
    summary: bool = False
    modifier: bool = False
    binding: str | None = None
    """URL of the value set of a required binding."""
    invariants: tuple[tuple[str, str, str], ...] = ()
    """(key, severity, FHIRPath)"""

    @property
    def many(self) -> bool:
        return self.max not in ("0", "1")


class Structure(msgspec.Struct, frozen=True, dict=True):
    """A resource type or datatype."""

    kind: str
    """resource, complex-type or primitive-type"""
    abstract: bool
    elements: dict[str, Element]
    """By path, in the order of the definition; the first is the type itself."""
    base: str | None = None
    regex: str | None = None
    """Of a primitive's value; written for ASCII."""

    @cached_property
    def children(self) -> dict[str, dict[str, Element]]:
        """path -> name -> element of its direct children (`value[x]` keeps its marker)."""
        found: dict[str, dict[str, Element]] = {}
        for path, element in self.elements.items():
            parent, dot, name = path.rpartition(".")
            if dot:
                found.setdefault(parent, {})[name] = element
        return found


class SearchComponent(msgspec.Struct, frozen=True):
    """One component of a composite parameter; `expression` starts at the composite's element."""

    code: str
    type: str
    expression: str


class SearchParameter(msgspec.Struct, frozen=True):
    """A search parameter of one resource type."""

    number: int
    """Fixed for ever: index rows are keyed by it."""
    type: str
    url: str = ""
    expression: str | None = None
    targets: tuple[str, ...] = ()
    components: tuple[SearchComponent, ...] = ()


class Published(msgspec.Struct, frozen=True, rename="pascal"):
    """The canonical URLs of what R4 itself defines."""

    structure_definition: frozenset[str]
    value_set: frozenset[str]
    operation_definition: frozenset[str]
    concept_map: frozenset[str]
    code_system: dict[str, frozenset[str] | None]
    """With its codes; None when R4 does not list them all."""


class Manifest(msgspec.Struct, frozen=True):
    """Where the facts come from."""

    source: dict[str, str]
    script: str
    files: dict[str, dict[str, Any]]


_structures: dict[str, msgspec.Raw] = msgspec.json.decode(
    (_FOLDER / "structures.json").read_bytes(), type=dict[str, msgspec.Raw]
)
_parameters: dict[str, msgspec.Raw] = msgspec.json.decode(
    (_FOLDER / "search_parameters.json").read_bytes(), type=dict[str, msgspec.Raw]
)

RESOURCE_TYPES: frozenset[str] = frozenset(_parameters)
"""The 146 concrete resource types."""


def is_type(name: str) -> bool:
    return name in _structures


@cache
def structure(name: str) -> Structure:
    """Raises KeyError when R4 has no such type."""
    return msgspec.json.decode(_structures[name], type=Structure)


@cache
def search_parameters(resource_type: str) -> dict[str, SearchParameter]:
    """By code, those of Resource and DomainResource and the stores' pseudo-parameters (type special) included."""
    return msgspec.json.decode(_parameters[resource_type], type=dict[str, SearchParameter])


def parameter_number(resource_type: str, code: str) -> int:
    """Raises KeyError when the type has no such parameter."""
    return search_parameters(resource_type)[code].number


@cache
def _codes() -> dict[str, dict[str, tuple[str, ...]]]:
    return msgspec.json.decode((_FOLDER / "codes.json").read_bytes(), type=dict[str, dict[str, tuple[str, ...]]])


def codes(value_set: str) -> dict[str, tuple[str, ...]] | None:
    """system -> codes of a required binding's value set; None when it cannot be listed (languages, MIME types)."""
    return _codes().get(value_set)


@cache
def compartment(name: str) -> dict[str, tuple[str, ...]]:
    """resource type -> search parameters that put it into the compartment, by R4's CompartmentDefinition."""
    content = msgspec.json.decode(
        (_FOLDER / "compartments.json").read_bytes(), type=dict[str, dict[str, tuple[str, ...]]]
    )
    return content[name]


def published() -> Published:
    """Read each time: what checks content asks once, a server never."""
    return msgspec.json.decode((_FOLDER / "published.json").read_bytes(), type=Published)


def manifest() -> Manifest:
    return msgspec.json.decode((_FOLDER / "manifest.json").read_bytes(), type=Manifest)
