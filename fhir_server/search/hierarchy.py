"""What is part of a resource, and what it is part of (R4 search.html#recursive)."""

from __future__ import annotations

from collections.abc import Collection

from fhir_server import spec
from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.model.identity import rid
from fhir_server.model.json import decode
from fhir_server.model.reference import parse_reference
from fhir_server.storage.query import IdIn, NumberIn, Query
from fhir_server.storage.rows import parameter
from fhir_server.terminology.reader import Reader

PARENTS = {
    "CarePlan": "part-of",
    "Encounter": "part-of",
    "Location": "partof",
    "Organization": "partof",
    "ResearchStudy": "partof",
    "Task": "part-of",
}
"""The parameter of `partOf`, of the types whose resources are parts of others of their type only."""
MOST_MEMBERS = 10_000
"""Most resources of a type that one parameter may mean with all above or below."""
DEEPEST = 100
"""Most levels above or below: each is a search."""


async def below(resource_type: str, logical_ids: Collection[str], reader: Reader) -> frozenset[int]:
    """The resources and, transitively, their parts."""
    p = parameter(spec.parameter_number(resource_type, PARENTS[resource_type]))
    found = frontier = {rid(resource_type, one) for one in logical_ids}
    for _ in range(DEEPEST):
        query = Query(resource_type, (NumberIn(p, tuple(frontier)),), count=MOST_MEMBERS, bodies=False)
        page = await reader.search(query)
        frontier = {rid(resource_type, one.logical_id) for one in page.matches} - found
        found = found | frontier
        if not frontier:
            return frozenset(found)
        if page.next_after is not None or len(found) > MOST_MEMBERS:
            break
    raise _too_large(resource_type, "below")


async def above(resource_type: str, logical_ids: Collection[str], reader: Reader) -> frozenset[int]:
    """The resources and, transitively, what they are part of."""
    found = frontier = {rid(resource_type, one) for one in logical_ids}
    for _ in range(DEEPEST):
        page = await reader.search(Query(resource_type, (IdIn(tuple(frontier)),), count=len(frontier)))
        wholes = [parse_reference(text) for one in page.matches for text in _wholes(one.body or b"{}")]
        frontier = {rid(resource_type, one.logical_id) for one in wholes if one.resource_type == resource_type} - found
        found = found | frontier
        if not frontier:
            return frozenset(found)
    raise _too_large(resource_type, "above")


def _wholes(body: bytes) -> list[str]:
    """What a resource is part of: of some types one reference, of others many."""
    found = decode(body).get("partOf") or []
    return [one["reference"] for one in (found if isinstance(found, list) else [found]) if one.get("reference")]


def _too_large(resource_type: str, modifier: str) -> InvalidSearch:
    return too_costly(
        f"':{modifier}' goes over more than {MOST_MEMBERS} resources or {DEEPEST} levels of {resource_type}: name one"
        " further down."
    )
