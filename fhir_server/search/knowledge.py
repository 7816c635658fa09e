"""What a search needs of stored resources before it can be compiled: the entries of lists.

Gathered between parsing and compiling; most searches need nothing and pay one look at their criteria.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from fhir_server.errors import InvalidSearch
from fhir_server.model.json import decode
from fhir_server.model.reference import parse_reference
from fhir_server.search.matching import NOTHING, Knowledge, unescape
from fhir_server.search.request import (
    AllOf,
    AnyOf,
    Chained,
    Condition,
    Criterion,
    NoneOf,
    ReverseChained,
    SearchRequest,
)
from fhir_server.storage.base import StoredVersion

Read = Callable[[str, str], Awaitable[StoredVersion | None]]
"""(resource type, id) -> its current version, a deletion too."""


def criteria(condition: Condition) -> Iterator[Criterion]:
    """The criteria that a condition is made of."""
    match condition:
        case Criterion():
            yield condition
        case Chained(condition=inner) | ReverseChained(condition=inner) | NoneOf(part=inner):
            yield from criteria(inner)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from criteria(part)


def needs(request: SearchRequest) -> list[Criterion]:
    """The criteria that cannot be compiled without looking at stored resources."""
    return [one for condition in request.criteria for one in criteria(condition) if one.code == "_list"]


async def gather(request: SearchRequest, read: Read) -> Knowledge:
    """What `request` needs. Raises InvalidSearch when a resource it names is not there."""
    wanted = needs(request)
    if not wanted:
        return NOTHING
    lists = {value: await _entries(value, read) for one in wanted for value in one.values}
    return Knowledge(lists=lists)


async def _entries(value: str, read: Read) -> tuple[tuple[str, str], ...]:
    """The resources in the List `value` (R4 search.html#list), without those marked as deleted from it."""
    logical_id = unescape(value)
    if logical_id.startswith("$"):
        raise InvalidSearch(
            f"This server has no list {logical_id[:100]!r}; `_list` takes the id of a List resource.",
            code="not-supported",
        )
    found = await read("List", logical_id)
    if found is None or found.body is None:
        return ()  # R4 search.html#errors: what is not there cannot be satisfied, and is no error
    entries = decode(found.body).get("entry", ())
    targets = [parse_reference(entry["item"].get("reference") or "") for entry in entries if not entry.get("deleted")]
    return tuple((one.resource_type, one.logical_id) for one in targets if one.is_local)
