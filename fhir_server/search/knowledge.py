"""What a search needs of stored resources before it can be compiled: entries of lists, codes, hierarchies.

Gathered between parsing and compiling; most searches need nothing and pay one look at their criteria.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import rid
from fhir_server.model.json import decode
from fhir_server.model.reference import parse_reference
from fhir_server.search.criteria import target_types
from fhir_server.search.hierarchy import PARENTS, above, below
from fhir_server.search.matching import NOTHING, Knowledge, unescape
from fhir_server.search.modifiers import is_in_hierarchy, is_mime_type
from fhir_server.search.parameters.token import parse
from fhir_server.search.registry import R4, Registry
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
from fhir_server.storage.query import IdIn, Query
from fhir_server.terminology.expansion import Expansion
from fhir_server.terminology.reader import Reader
from fhir_server.terminology.service import Terminology

OF_CODES = {"in": "in", "not-in": "in", "above": "above", "below": "below"}
"""Modifiers of tokens that ask terminology, and what they ask."""


MANY_TYPES = 20
"""A chain to more types is asked of those that are stored alone: each is a search of its own."""


@dataclass(frozen=True, slots=True)
class Need:
    """A criterion, and what it needs: `list`, `token` or `hierarchy`; `types` needs a reference to many of them."""

    criterion: Criterion
    kind: str


def needs(request: SearchRequest, registry: Registry = R4) -> list[Need]:
    """What cannot be compiled without looking at stored resources."""
    return [one for condition in request.criteria for one in _needs(condition, request.types, registry)]


def _needs(condition: Condition, types: Iterable[str], registry: Registry) -> Iterator[Need]:
    match condition:
        case Criterion(code, _, modifier):
            if code == "_list":
                yield Need(condition, "list")
            elif modifier in OF_CODES:
                yield from (Need(condition, kind) for kind in _kinds(code, types, registry))
        case Chained(code, target, inner):
            ends = {target} if target else _ends(code, types, registry)
            if len(ends) > MANY_TYPES:
                yield Need(Criterion(code, ()), "types")
            yield from _needs(inner, ends, registry)
        case ReverseChained(source, _, inner):
            yield from _needs(inner, (source,), registry)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _needs(part, types, registry)
        case NoneOf(part):
            yield from _needs(part, types, registry)


def _kinds(code: str, types: Iterable[str], registry: Registry) -> list[str]:
    """What a parameter with a modifier of `OF_CODES` looks up: it may be a code of one type, a reference of another."""
    found = [one for one in (registry.definitions(each).get(code) for each in types) if one is not None]
    kinds = ["token"] if any(one.search_type == "token" and not is_mime_type(one) for one in found) else []
    return kinds + (["hierarchy"] if any(is_in_hierarchy(one) for one in found) else [])


def _ends(code: str, types: Iterable[str], registry: Registry) -> set[str]:
    found = (registry.definitions(one).get(code) for one in types)
    return {target for definition in found if definition is not None for target in target_types(definition)}


async def gather(
    request: SearchRequest, reader: Reader, terminology: Terminology, *, base_url: str = "", registry: Registry = R4
) -> Knowledge:
    """What `request` needs. Raises FhirError when a resource it names is not there or settles nothing."""
    wanted = needs(request, registry)
    if not wanted:
        return NOTHING
    lists, tokens, hierarchies = {}, {}, {}
    types: frozenset[str] | None = None
    warnings: dict[str, None] = {}
    for need in wanted:
        criterion = need.criterion
        if need.kind == "types":
            types = types or await reader.types()
            continue
        if need.kind == "hierarchy":
            key = criterion.modifier, criterion.values
            hierarchies[key] = await _hierarchy(criterion, reader, base_url)
            continue
        for value in criterion.values:
            if need.kind == "list":
                lists[value] = await _entries(value, reader)
                continue
            asked = OF_CODES[criterion.modifier]
            expansion = await _expansion(criterion, asked, value, reader, terminology, base_url)
            tokens[asked, value] = expansion.tokens
            warnings.update(dict.fromkeys(expansion.warnings))
    return Knowledge(tokens, lists, hierarchies, types, tuple(warnings))


async def _hierarchy(criterion: Criterion, reader: Reader, base_url: str) -> dict[str, frozenset[int]]:
    """By type, the resources that the values name and all above or below them; a bare id may be of any type."""
    named: dict[str, set[str]] = {}
    for value in map(unescape, criterion.values):
        reference = parse_reference(value.removeprefix(f"{base_url}/"))
        if reference.is_local and reference.resource_type in PARENTS:
            named.setdefault(reference.resource_type, set()).add(reference.logical_id)
        elif "/" not in value and ":" not in value:
            for resource_type in PARENTS:
                named.setdefault(resource_type, set()).add(value)
    find = below if criterion.modifier == "below" else above
    return {resource_type: await find(resource_type, ids, reader) for resource_type, ids in named.items()}


async def _expansion(
    criterion: Criterion, asked: str, value: str, reader: Reader, terminology: Terminology, base_url: str
) -> Expansion:
    if asked == "in":
        return await terminology.expand(unescape(value), reader, base_url=base_url)
    system, code = parse(f"{criterion.code}:{asked}", value)
    if not code:
        raise InvalidSearch(f"'{criterion.code}:{asked}' needs a code: write code or system|code.")
    related = terminology.below if asked == "below" else terminology.above
    return await related(system, code, reader)


async def _entries(value: str, reader: Reader) -> tuple[tuple[str, str], ...]:
    """The resources in the List `value` (R4 search.html#list), without those marked as deleted from it."""
    logical_id = unescape(value)
    if logical_id.startswith("$"):
        raise InvalidSearch(
            f"This server has no list {logical_id[:100]!r}; `_list` takes the id of a List resource.",
            code="not-supported",
        )
    page = await reader.search(Query("List", (IdIn((rid("List", logical_id),)),), count=1))
    if not page.matches:
        return ()  # R4 search.html#errors: what is not there cannot be satisfied, and is no error
    entries = decode(page.matches[0].body or b"{}").get("entry", ())
    targets = [parse_reference(entry["item"].get("reference") or "") for entry in entries if not entry.get("deleted")]
    return tuple((one.resource_type, one.logical_id) for one in targets if one.is_local)
