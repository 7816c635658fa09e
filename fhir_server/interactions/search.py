"""search of a type (R4 http.html#search, search.html): a page of matches from stored bytes."""

from __future__ import annotations

from dataclasses import replace

from fhir_server.errors import Issue, operation_outcome
from fhir_server.interactions.binary import complete_body
from fhir_server.interactions.bundle import bundle, entry, links
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.prefer import preference
from fhir_server.model.json import encode as encode_json
from fhir_server.search.compile import compile_query
from fhir_server.search.knowledge import gather
from fhir_server.search.page import CURSOR_PARAMETER, Cursor, decode, encode, query_hash
from fhir_server.search.parse import parse_search
from fhir_server.search.request import Ignored, SearchRequest
from fhir_server.storage.base import SearchPage

KIND = "search"


async def search(server: Server, request: Request, resource_type: str) -> Response:
    """A searchset: matches in the order asked for, an outcome entry naming what was ignored, self and next links."""
    settings = server.settings
    cursor = None
    pairs = []
    for name, value in request.query:
        if name == CURSOR_PARAMETER:
            cursor = value
        else:
            pairs.append((name, value))
    handling = preference(request, "handling")
    strict = handling == "strict" or (settings.strict_search and handling != "lenient")
    registry = server.registry
    wanted = parse_search(resource_type, pairs, strict=strict, registry=registry)
    query = compile_query(
        wanted,
        base_url=request.base_url,
        time_zone=settings.time_zone,
        default_count=settings.default_count,
        max_count=settings.max_count,
        knowledge=await gather(wanted, lambda *key: server.store.read(request.scope, *key)),
        registry=registry,
    )
    if cursor is not None:
        at = decode(await server.store.secret("cursor"), cursor, kind=KIND, query=query_hash(wanted))
        query = replace(query, snapshot=at.snapshot, after=at.after)
    page = await server.store.search(request.scope, query)
    return Response(200, await _searchset(server, request, wanted, page, cursor))


async def _searchset(
    server: Server, request: Request, wanted: SearchRequest, page: SearchPage, cursor: str | None
) -> bytes:
    following = None
    if page.next_after is not None:
        key = await server.store.secret("cursor")
        following = encode(key, Cursor(page.snapshot, page.next_after), kind=KIND, query=query_hash(wanted))
    prefix = f"{request.base_url}/{wanted.resource_type}/"
    entries = [
        entry(
            full_url=prefix + match.logical_id,
            resource=match.body if match.blob is None else await complete_body(server, request, match),
            search_mode="match",
        )
        for match in page.matches
    ]
    if wanted.ignored:
        entries.append(entry(resource=encode_json(_outcome(wanted.ignored)), search_mode="outcome"))
    found = links(request, wanted.resource_type, wanted.used, following, cursor)
    return bundle("searchset", entries, total=page.total, links=found)


def _outcome(ignored: tuple[Ignored, ...]) -> dict[str, object]:
    """R4 search.html#errors: what the search went without is named."""
    return operation_outcome(
        [Issue("not-supported", f"{one.name} was ignored: {one.reason}", severity="warning") for one in ignored]
    )
