"""The search parameters that work, for CapabilityStatement.rest.resource.searchParam."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fhir_server import spec
from fhir_server.search.definitions import definitions


@dataclass(frozen=True, slots=True)
class Declared:
    """One `searchParam`: its name, its type and the URL of its SearchParameter."""

    name: str
    search_type: str
    url: str


@cache
def declared(resource_type: str) -> tuple[Declared, ...]:
    """Every parameter a search of `resource_type` honours, by name."""
    parameters = spec.search_parameters(resource_type)
    names = sorted({"_id", "_lastUpdated", *definitions(resource_type)})
    return tuple(Declared(name, parameters[name].type, parameters[name].url) for name in names)
