"""What an OperationDefinition says about how an operation is called.

R4 operationdefinition.html; operations.html#defining.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import msgspec

from fhir_server import content_files
from fhir_server.interactions.exchange import OperationLevel

ALLOWED_TYPE = "http://hl7.org/fhir/StructureDefinition/operationdefinition-allowed-type"
ANY_RESOURCE = ("Resource", "DomainResource", "Any")
"""Parameter types that take a resource of whatever type."""


@dataclass(frozen=True, slots=True)
class InParameter:
    """One `OperationDefinition.parameter` with use `in`."""

    name: str
    type: str
    min: int
    max: int | None
    """None for `*`."""
    allowed: tuple[str, ...] = ()
    """Where the type is Element: the types that it takes (extension operationdefinition-allowed-type)."""
    parts: tuple[InParameter, ...] = ()
    """What it is made of, instead of a type; its value is the values of each, by name."""

    @property
    def is_primitive(self) -> bool:
        """FHIR writes the names of primitive types, and only those, in lower case (R4 datatypes.html)."""
        return self.type[:1].islower()

    def takes(self, resource_type: str) -> bool:
        return self.type == resource_type or self.type in ANY_RESOURCE


@dataclass(frozen=True, slots=True)
class Definition:
    """The part of an OperationDefinition that decides whether a call is right."""

    url: str
    code: str
    resource_types: tuple[str, ...]
    """`Resource` stands for every type."""
    levels: frozenset[OperationLevel]
    affects_state: bool
    parameters: dict[str, InParameter]

    def applies_to(self, resource_type: str | None) -> bool:
        if resource_type is None:
            return "system" in self.levels
        return resource_type in self.resource_types or "Resource" in self.resource_types

    def body_parameter(self, resource_type: str) -> InParameter | None:
        """The parameter a bare resource in the body stands for: the only one that takes a resource."""
        takers = [parameter for parameter in self.parameters.values() if parameter.takes(resource_type)]
        return takers[0] if len(takers) == 1 else None


def _parameters(source: dict[str, Any], key: str = "parameter") -> tuple[InParameter, ...]:
    return tuple(
        InParameter(
            name=parameter["name"],
            type=parameter.get("type", ""),
            min=parameter["min"],
            max=None if parameter["max"] == "*" else int(parameter["max"]),
            allowed=tuple(one["valueUri"] for one in parameter.get("extension", ()) if one["url"] == ALLOWED_TYPE),
            parts=_parameters(parameter, "part"),
        )
        for parameter in source.get(key, ())
        if parameter["use"] == "in"
    )


@cache
def load(file_name: str) -> Definition:
    """Read `profiles/<file_name>`."""
    source = msgspec.json.decode((content_files.root() / "profiles" / file_name).read_bytes())
    parameters = _parameters(source)
    return Definition(
        url=source["url"],
        code=source["code"],
        resource_types=tuple(source.get("resource", ())),
        levels=frozenset(level for level in get_args(OperationLevel) if source[level]),
        affects_state=source["affectsState"],
        parameters={parameter.name: parameter for parameter in parameters},
    )
