"""search of a type, of a compartment and of all types (R4 http.html#search, search.html): a page from stored bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from fhir_server import spec
from fhir_server.errors import InvalidSearch, ResourceNotFound, TooCostly
from fhir_server.interactions.contained_matches import found_by, is_contained
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.explain import explained, wants_explanation
from fhir_server.interactions.prefer import preference
from fhir_server.interactions.searchset import KIND, Found, searchset
from fhir_server.search.compartment import COMPARTMENTS, compartment_types
from fhir_server.search.compile import compile_queries
from fhir_server.search.costly import costliest, named
from fhir_server.search.include import inclusions
from fhir_server.search.knowledge import gather, needs
from fhir_server.search.matching import Matching
from fhir_server.search.page import CURSOR_PARAMETER, Cursor, decode, query_hash
from fhir_server.search.parse import parse_types, type_names
from fhir_server.search.request import SearchRequest
from fhir_server.storage.base import Included, SearchPage
from fhir_server.storage.query import IncludeQuery, Query
from fhir_server.terminology.reader import StoreReader

EVERY_TYPE = "*"
"""In the URL of a compartment: whatever type its resources have."""
NOTHING_INCLUDED = Included([])


@dataclass(frozen=True, slots=True)
class Place:
    """What the URL of a search says."""

    path: str
    types: tuple[str, ...]
    compartment: tuple[str, str] | None = None


async def search(server: Server, request: Request, resource_type: str) -> Response:
    """A searchset of one type."""
    return await _search(server, request, Place(resource_type, (resource_type,)))


async def search_system(server: Server, request: Request) -> Response:
    """A searchset of all types, or of those that `_type` names (R4 search.html#type)."""
    return await _search(server, request, Place("", _named_types(request, tuple(sorted(spec.RESOURCE_TYPES)))))


async def search_compartment(
    server: Server, request: Request, name: str, logical_id: str, resource_type: str
) -> Response:
    """A searchset of what is in the compartment of `name/logical_id`: of one type, or of all (R4 http.html#vsearch)."""
    if name not in COMPARTMENTS:
        raise ResourceNotFound(
            f"There are no compartments of {name}: R4 defines those of {', '.join(COMPARTMENTS)}.", code="not-supported"
        )
    path = f"{name}/{logical_id}/{resource_type}"
    within = compartment_types(name)
    if resource_type == EVERY_TYPE:
        types = tuple(one for one in _named_types(request, within) if one in within)
    else:
        types = (resource_type,) if resource_type in within else ()
    if not types:
        raise ResourceNotFound(
            f"By R4's definition nothing of this type is in the compartment of a {name}: search the type itself.",
            code="not-supported",
        )
    return await _search(server, request, Place(path, types, (name, logical_id)))


def _named_types(request: Request, types: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the types that every `_type` names."""
    for name, value in request.query:
        if name == "_type" and (wanted := type_names(value)):
            types = tuple(one for one in types if one in wanted)
            if not types:
                raise InvalidSearch("'_type' leaves no type to be searched.")
    return types


async def _search(server: Server, request: Request, place: Place) -> Response:
    if wants_explanation(server, request):
        return await explained(server, request, partial(_answer, place))
    return await _answer(place, server, request)


async def _answer(place: Place, server: Server, request: Request) -> Response:
    """Matches in the order asked for, what they include, an outcome entry naming what was ignored, and links."""
    settings = server.settings
    text = None
    pairs = []
    for name, value in request.query:
        if name == CURSOR_PARAMETER:
            text = value
        else:
            pairs.append((name, value))
    handling = preference(request, "handling")
    strict = handling == "strict" or (settings.strict_search and handling != "lenient")
    registry = server.registry
    wanted = parse_types(place.types, pairs, strict=strict, compartment=place.compartment, registry=registry)
    reader = StoreReader(server.store, request.scope)
    try:
        knowledge = await gather(wanted, reader, server.terminology, base_url=request.base_url, registry=registry)
    except TooCostly as error:
        raise _blaming(error, [named(one.criterion) for one in needs(wanted, registry)]) from error
    queries = compile_queries(
        wanted,
        Matching(request.base_url, settings.time_zone, knowledge, registry),
        default_count=settings.default_count,
        max_count=settings.max_count,
    )
    at = None
    if text is not None:
        at = decode(await server.store.secret("cursor"), text, kind=KIND, query=query_hash(wanted))
        queries = tuple([_continued(query, at) for query in queries])
    try:
        page = await found_by(server, request, queries)
    except TooCostly as error:
        raise _blaming(error, costliest(wanted, queries[0])) from error
    try:
        included = await _included(server, request, wanted, page, at)
    except TooCostly as error:
        raise _blaming(error, ["_revinclude" if one.reverse else "_include" for one in wanted.includes]) from error
    found = Found(wanted, queries, page, included, text, at, knowledge.warnings)
    return Response(200, await searchset(server, request, place.path, found))


def _blaming(error: TooCostly, names: list[str]) -> TooCostly:
    """The refusal, which names the parameters that cost most."""
    costly = ", ".join(dict.fromkeys(names))
    return TooCostly(f"{error} What costs most: {costly}." if costly else str(error))


def _continued(query: Query, at: Cursor) -> Query:
    """The page of the cursor: the first page has counted, and the matches of a rest of includes were sent before."""
    return replace(
        query,
        snapshot=at.snapshot,
        after=at.after,
        backward=at.backward,
        total=query.total and at.total is None,
        bodies=at.included is None,
    )


async def _included(
    server: Server, request: Request, wanted: SearchRequest, page: SearchPage, at: Cursor | None
) -> Included:
    matches = [one for one in page.matches if not is_contained(one)]
    if not wanted.includes or not matches:
        return NOTHING_INCLUDED
    query = IncludeQuery(
        inclusions(server.registry, wanted),
        page.snapshot,
        server.settings.max_includes,
        at.included if at is not None else None,
    )
    return await server.store.included(request.scope, query, matches)
