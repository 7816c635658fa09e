"""Criteria that decide what is written: nothing in them may be unknown, empty or unusable (R4 http.html#ccreate)."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.errors import InvalidSearch
from fhir_server.model.url import decode_query
from fhir_server.search.compile import compile_query
from fhir_server.search.controls import CONTROLS
from fhir_server.search.knowledge import needs
from fhir_server.search.parse import TRANSPORT_PARAMETERS, parse_search
from fhir_server.search.registry import R4, Registry
from fhir_server.storage.query import Query


def conditional_query(
    resource_type: str,
    criteria: str | Iterable[tuple[str, str]],
    *,
    base_url: str,
    time_zone: str,
    registry: Registry = R4,
) -> Query:
    """The query for at most two matches of `criteria`, a query string (`identifier=...`) or its decoded pairs.

    Raises InvalidSearch when a criterion would not narrow the search: the interaction is refused, never widened.
    """
    pairs = _pairs(criteria)
    request = parse_search(resource_type, pairs, strict=True, registry=registry)
    if not request.criteria:
        raise InvalidSearch(
            f"The condition names no search parameter of {resource_type}; give at least one, with a value."
        )
    if len(request.criteria) != len(pairs):
        names = sorted({name for name, _ in pairs} & CONTROLS.keys())
        raise InvalidSearch(f"A condition takes search parameters of {resource_type} only, not {', '.join(names)}.")
    if needs(request, registry):
        names = sorted({name for name, _ in pairs})
        raise InvalidSearch(f"A condition cannot be asked of lists, value sets and hierarchies ({', '.join(names)}).")
    if any("" in value.split(",") for _, value in request.used):
        raise InvalidSearch("A condition has an empty value between commas; leave it out or escape the comma as '\\,'.")
    return compile_query(request, base_url=base_url, time_zone=time_zone, default_count=2, registry=registry)


def _pairs(criteria: str | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    if isinstance(criteria, str):
        criteria = decode_query(criteria.removeprefix("?").encode())
    return [(name, value) for name, value in criteria if name not in TRANSPORT_PARAMETERS]
