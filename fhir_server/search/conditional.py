"""Criteria that decide what is written: nothing in them may be unknown, empty or unusable (R4 http.html#ccreate)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_server.errors import InvalidSearch
from fhir_server.model.url import decode_query
from fhir_server.search.compile import compile_query
from fhir_server.search.controls import CONTROLS
from fhir_server.search.knowledge import gather, needs
from fhir_server.search.matching import NOTHING, Knowledge
from fhir_server.search.parse import TRANSPORT_PARAMETERS, parse_search
from fhir_server.search.registry import R4, Registry
from fhir_server.search.request import SearchRequest
from fhir_server.storage.query import Query
from fhir_server.terminology.reader import Reader
from fhir_server.terminology.service import Terminology


@dataclass(frozen=True, slots=True)
class Criteria:
    """A condition, read and checked."""

    request: SearchRequest
    base_url: str
    time_zone: str
    registry: Registry
    settled: Query | None
    """The query; None when it depends on stored resources (lists, value sets, hierarchies)."""

    @property
    def identity(self) -> str:
        """The same for conditions that select the same."""
        return repr(self.settled or (self.request.resource_type, self.request.criteria))

    async def query(self, reader: Reader, terminology: Terminology) -> Query:
        """The query for at most two matches, by what `reader` shows.

        Raises FhirError when a resource that is needed is not there, settles nothing, or not the whole question.
        """
        if self.settled is not None:
            return self.settled
        knowledge = await gather(self.request, reader, terminology, base_url=self.base_url, registry=self.registry)
        if knowledge.warnings:
            raise InvalidSearch(f"A condition cannot rest on a part of the codes. {' '.join(knowledge.warnings)}")
        return _compiled(self.request, self.base_url, self.time_zone, self.registry, knowledge)


def conditional_criteria(
    resource_type: str,
    criteria: str | Iterable[tuple[str, str]],
    *,
    base_url: str,
    time_zone: str,
    registry: Registry = R4,
) -> Criteria:
    """What `criteria`, a query string (`identifier=...`) or its decoded pairs, ask of a `resource_type`.

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
    if any("" in value.split(",") for _, value in request.used):
        raise InvalidSearch("A condition has an empty value between commas; leave it out or escape the comma as '\\,'.")
    settled = None if needs(request, registry) else _compiled(request, base_url, time_zone, registry, NOTHING)
    return Criteria(request, base_url, time_zone, registry, settled)


def _compiled(request: SearchRequest, base_url: str, time_zone: str, registry: Registry, knowledge: Knowledge) -> Query:
    return compile_query(
        request, base_url=base_url, time_zone=time_zone, default_count=2, knowledge=knowledge, registry=registry
    )


def _pairs(criteria: str | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    if isinstance(criteria, str):
        criteria = decode_query(criteria.removeprefix("?").encode())
    return [(name, value) for name, value in criteria if name not in TRANSPORT_PARAMETERS]
