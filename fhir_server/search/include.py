"""`_include` and `_revinclude` as the store's inclusions (R4 search.html#include)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from fhir_server import spec
from fhir_server.search.criteria import target_types
from fhir_server.search.definitions import Definition
from fhir_server.search.registry import Registry
from fhir_server.search.request import Include, SearchRequest
from fhir_server.storage.query import Inclusion
from fhir_server.storage.rows import VARIANT_EXTERNAL

_BY_ID = frozenset(("Reference", "Resource", "canonical", "uri"))
_BY_URL = frozenset(("canonical", "uri"))
"""Elements that refer by the url of a conformance resource; they may hold a relative reference, too."""


def inclusions(registry: Registry, request: SearchRequest) -> tuple[Inclusion, ...]:
    """What the includes of `request` mean for the resources it finds."""
    found = (one for include in request.includes for one in _inclusions(registry, include, request.types))
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1024)
def _inclusions(registry: Registry, include: Include, types: tuple[str, ...]) -> tuple[Inclusion, ...]:
    """Those of one include in a search of `types`."""
    return tuple(
        inclusion
        for source in _sources(include, types)
        for inclusion in _of_type(registry, include, source, _parameters(registry, include, source))
    )


def _sources(include: Include, types: tuple[str, ...]) -> Iterable[str]:
    if include.source_type != "*":
        return (include.source_type,)
    return types if not (include.reverse or include.iterate) else sorted(spec.RESOURCE_TYPES)


def _parameters(registry: Registry, include: Include, source: str) -> Iterator[Definition]:
    """The reference parameters meant; an alias adds nothing to all of them."""
    for code, definition in registry.definitions(source).items():
        wanted = include.code == code or (include.code == "*" and not definition.is_alias)
        if definition.search_type == "reference" and wanted:
            yield definition


def _of_type(
    registry: Registry, include: Include, source: str, parameters: Iterator[Definition]
) -> Iterator[Inclusion]:
    """The parameters of one type, those with the same targets together."""
    by_id: dict[tuple[str, ...], list[int]] = {}
    by_url: dict[tuple[int, ...], list[int]] = {}
    for definition in parameters:
        for one in definition.sources:
            if include.target_type and one.only not in ("", include.target_type):
                continue
            target = include.target_type or one.only
            targets: tuple[str, ...] = (target,) if target else ()
            if definition.element_types & _BY_ID:
                by_id.setdefault(targets, []).append(one.p)
            if definition.element_types & _BY_URL:
                urls = _urls(registry, targets or target_types(definition))
                by_url.setdefault(urls, []).append(one.p + VARIANT_EXTERNAL)
    for targets, ps in by_id.items():
        yield Inclusion(source, tuple(ps), target_types=targets, reverse=include.reverse, iterate=include.iterate)
    for urls, ps in by_url.items():
        if urls:
            yield Inclusion(
                source, (), tuple(ps), urls, (include.target_type,) if include.target_type else (),
                include.reverse, include.iterate,
            )  # fmt: skip


def _urls(registry: Registry, targets: Iterable[str]) -> tuple[int, ...]:
    """Row parameters of the types' own urls."""
    found = (registry.definitions(target).get("url") for target in targets)
    return tuple([definition.p for definition in found if definition is not None])
