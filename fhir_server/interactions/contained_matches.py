"""What a search of contained resources returns: them, or the resources that contain them (R4 search.html#contained)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.interactions.exchange import Request, Server
from fhir_server.model.identity import rid
from fhir_server.model.json import decode
from fhir_server.search.request import SearchRequest
from fhir_server.storage.base import SearchPage, StoredVersion
from fhir_server.storage.contained import MARK, contained_id, contained_type, container_of
from fhir_server.storage.query import BY_DATE, BY_LAST_UPDATED, IdIn, Query


def is_contained(version: StoredVersion) -> bool:
    return version.resource_type.startswith(MARK)


def full_url(base_url: str, version: StoredVersion) -> str:
    """A contained resource is at its container's URL, as the fragment of its id."""
    if is_contained(version):
        return f"{base_url}/{version.logical_id}"
    return f"{base_url}/{version.resource_type}/{version.logical_id}"


async def matched(
    server: Server, request: Request, wanted: SearchRequest, queries: Sequence[Query], page: SearchPage
) -> list[StoredVersion]:
    """The matches of a page; of contained ones their containers, unless they are wanted themselves.

    A container stands once in all pages, at the first of the matches that are it or in it.
    """
    if wanted.contained == "false" or wanted.contained_type == "contained":
        return list(page.matches)
    found: dict[tuple[str, str], StoredVersion] = {}
    for match in page.matches:
        container: StoredVersion | None = match
        if is_contained(match):
            resource_type, logical_id, _ = container_of(match.logical_id)
            if (resource_type, logical_id) in found:
                continue
            container = await server.store.vread(request.scope, resource_type, logical_id, match.version_id)
        if container is not None:
            found.setdefault((container.resource_type, container.logical_id), container)
    if queries[0].after is None:
        return list(found.values())
    here = {(one.resource_type, one.logical_id) for one in page.matches}
    return [one for one in found.values() if await _first_match(server, request, queries, page, one) in here]


async def _first_match(
    server: Server, request: Request, queries: Sequence[Query], page: SearchPage, container: StoredVersion
) -> tuple[str, str]:
    """(type, id) of what the search finds first of the container and of what it contains."""
    inside = [
        (contained_type(one["resourceType"]), contained_id(container.resource_type, container.logical_id, one["id"]))
        for one in decode(container.body or b"{}").get("contained", ())
        if one.get("id")
    ]
    own = [rid(*place) for place in [(container.resource_type, container.logical_id), *inside]]
    after = queries[0].after
    # A search of one type orders itself by what drives it, which would be another index here: said by the cursor.
    usual = BY_LAST_UPDATED if after is not None and len(after) == 1 else BY_DATE
    asked = [
        replace(
            query,
            predicates=(*query.predicates, IdIn(tuple(own))),
            sort=query.sort or (usual if len(queries) == 1 else ()),
            count=1,
            total=False,
            snapshot=page.snapshot,
            after=None,
            backward=False,
            bodies=False,
        )
        for query in queries
    ]
    found = await found_by(server, request, asked)
    (first,) = found.matches
    return first.resource_type, first.logical_id


async def found_by(server: Server, request: Request, queries: Sequence[Query]) -> SearchPage:
    """The page of the queries that answer a search together."""
    if len(queries) == 1:
        return await server.store.search(request.scope, queries[0])
    return await server.store.search_all(request.scope, queries)
