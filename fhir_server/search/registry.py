"""Which search parameters there are at one moment: R4's, and those of SearchParameter resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server import spec
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.search.definitions import Definition, build, definitions
from fhir_server.storage.parameters import ParameterDefinition, ParameterSet, StoredParameter


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """An immutable snapshot: a search or a write uses one from its beginning to its end."""

    epoch: int = 0
    """Counts the changes of what is indexed and searched (the database's `clock.epoch`)."""
    custom: tuple[StoredParameter, ...] = ()
    """Those that rows are written for."""
    compiled: dict[str, Any] = field(default_factory=dict)
    """What search/extract.py has compiled for a resource type."""
    _searched: dict[str, dict[str, Definition]] = field(default_factory=dict)
    """Those of the types that have custom ones."""
    _written: dict[str, list[Definition]] = field(default_factory=dict)
    """The custom ones."""

    def definitions(self, resource_type: str) -> Mapping[str, Definition]:
        """The parameters that `resource_type` is searched by, by code."""
        return self._searched.get(resource_type) or definitions(resource_type)

    def indexed(self, resource_type: str) -> list[Definition]:
        """Those that rows are written for: more than are searched while some are being built."""
        return [*definitions(resource_type).values(), *self._written.get(resource_type, ())]

    def has_custom(self, resource_type: str) -> bool:
        """Whether rows are written for more than R4's parameters of the type."""
        return resource_type in self._written

    def url(self, resource_type: str, code: str) -> str:
        """The canonical URL of the SearchParameter."""
        for one in self.custom:
            if (one.definition.resource_type, one.definition.code) == (resource_type, code) and one.state == "complete":
                return one.definition.url
        return spec.search_parameters(resource_type)[code].url


R4 = Registry()
"""R4's parameters alone."""


def registry_of(stored: ParameterSet) -> Registry:
    """The snapshot of what is stored."""
    custom = tuple(one for one in stored.parameters if one.state in ("building", "complete"))
    registry = Registry(stored.epoch, custom)
    for one in custom:
        resource_type = one.definition.resource_type
        try:
            definition = custom_definition(one.definition, one.number)
        except InvalidExpression:
            continue  # accepted by another version of this server, and unknown to this one
        registry._written.setdefault(resource_type, []).append(definition)
        if one.state == "complete":
            known = registry._searched.setdefault(resource_type, dict(definitions(resource_type)))
            known[definition.code] = definition
    return registry


def custom_definition(custom: ParameterDefinition, number: int) -> Definition:
    """Raises InvalidExpression when the parameter cannot be indexed."""
    components = tuple(spec.SearchComponent(one.code, one.type, one.expression) for one in custom.components)
    declared = spec.SearchParameter(number, custom.type, custom.url, custom.expression, custom.targets, components)
    return build(custom.resource_type, custom.code, declared)
