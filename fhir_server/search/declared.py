"""The search parameters that work, for CapabilityStatement.rest.resource.searchParam."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server import spec
from fhir_server.search.registry import R4, Registry


@dataclass(frozen=True, slots=True)
class Declared:
    """One `searchParam`: its name, its type and the URL of its SearchParameter."""

    name: str
    search_type: str
    url: str


def declared(resource_type: str, registry: Registry = R4) -> tuple[Declared, ...]:
    """Every parameter a search of `resource_type` honours, by name."""
    parameters = spec.search_parameters(resource_type)
    names = sorted({"_id", "_lastUpdated", *registry.definitions(resource_type)})
    return tuple(Declared(name, parameters[name].type, parameters[name].url) for name in names)
