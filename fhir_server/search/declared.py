"""The search parameters that work, for CapabilityStatement.rest.resource.searchParam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fhir_server import spec
from fhir_server.search.criteria import OF_EVERY_TYPE, WITH_MODIFIERS, target_types
from fhir_server.search.modifiers import modifiers
from fhir_server.search.registry import R4, Registry


@dataclass(frozen=True, slots=True)
class Declared:
    """One `searchParam`: its name, its type, the URL of its SearchParameter, and its modifiers."""

    name: str
    search_type: str
    url: str
    modifiers: tuple[str, ...] = ()
    """Without their colon; `[type]` stands for a type that the reference may be of."""


def declared(resource_type: str, registry: Registry = R4) -> tuple[Declared, ...]:
    """Every parameter a search of `resource_type` honours, by name."""
    parameters, known = spec.search_parameters(resource_type), registry.definitions(resource_type)
    own = OF_EVERY_TYPE & parameters.keys()
    found = [
        Declared(
            name,
            known[name].search_type if name in known else parameters[name].type,
            registry.url(resource_type, name),
            modifiers(known[name]) if name in known else WITH_MODIFIERS.get(name, ()),
        )
        for name in {*own, *known}
    ]
    return tuple(sorted([*found, Declared("_filter", "special", "")], key=lambda one: one.name))


def declared_of_all(registry: Registry = R4) -> tuple[Declared, ...]:
    """The parameters that every type has: those of a search of all types."""
    common = set.intersection(*({one.name for one in declared(name, registry)} for name in spec.RESOURCE_TYPES))
    return tuple(one for one in declared("Basic", registry) if one.name in common)


def includes(resource_type: str, registry: Registry = R4) -> list[str]:
    """The values of `_include` that a search of `resource_type` follows."""
    codes = [code for code, one in registry.definitions(resource_type).items() if one.search_type == "reference"]
    return ["*", f"{resource_type}:*", *(f"{resource_type}:{code}" for code in sorted(codes))] if codes else []


def reverse_includes(resource_type: str, registry: Registry = R4) -> list[str]:
    """The values of `_revinclude` that a search of `resource_type` follows, apart from those of `of_any_type`."""
    return ["*", *_referring(registry)[resource_type]]


@lru_cache(maxsize=4)
def _referring(registry: Registry) -> dict[str, list[str]]:
    """By type, the parameters that may refer to it."""
    found: dict[str, list[str]] = {name: [] for name in spec.RESOURCE_TYPES}
    for name, targets in _references(registry):
        for target in targets:
            if not _is_any(targets) or name == NAMED_FOR_EACH:
                found[target].append(name)
    return found


NAMED_FOR_EACH = "Provenance:target"
"""The one parameter to any type that clients look for with each type: profiles ask for it by name."""


@lru_cache(maxsize=4)
def of_any_type(registry: Registry = R4) -> list[str]:
    """The values of `_revinclude` that a search of any type follows: named once, not 146 times."""
    return [name for name, targets in _references(registry) if _is_any(targets)]


def _is_any(targets: tuple[str, ...]) -> bool:
    """What R4 calls Any: all types but for Parameters, which is no resource of its own."""
    return len(targets) >= len(spec.RESOURCE_TYPES) - 1


def _references(registry: Registry) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each reference parameter as `Type:code`, and the types that it may refer to."""
    for source in sorted(spec.RESOURCE_TYPES):
        for code, one in sorted(registry.definitions(source).items()):
            if one.search_type == "reference":
                yield f"{source}:{code}", target_types(one)
