"""From a SearchRequest to the store's Query."""

from __future__ import annotations

from collections.abc import Callable

from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.model.identity import rid
from fhir_server.search.definitions import Definition, definitions
from fhir_server.search.matching import Matching, unescape
from fhir_server.search.parameters import (
    composite,
    date,
    last_updated,
    number,
    quantity,
    reference,
    special,
    string,
    token,
    uri,
)
from fhir_server.search.request import Criterion, SearchRequest
from fhir_server.search.sorting import sort_key
from fhir_server.settings import Settings
from fhir_server.storage.query import And, IdIn, Not, Or, Predicate, Query

DEFAULT_COUNT: int = Settings.model_fields["default_count"].default
MAX_COUNT: int = Settings.model_fields["max_count"].default
MOST_CONDITIONS = 200
"""Most conditions of all values together: a value that is not looked up by equality is one, or a few, of the statement
(docs/spec-clarifications/search.md, search-14)."""

_MATCH: dict[str, Callable[[Definition, tuple[str, ...], Matching], Predicate]] = {
    "token": token.match,
    "reference": reference.match,
    "date": date.match,
    "string": string.match,
    "uri": uri.match,
    "number": number.match,
    "quantity": quantity.match,
    "composite": composite.match,
    "special": special.match,
}


def compile_query(
    request: SearchRequest,
    *,
    base_url: str,
    time_zone: str,
    default_count: int = DEFAULT_COUNT,
    max_count: int = MAX_COUNT,
) -> Query:
    """The query that answers `request`. Raises InvalidSearch for values its parameters cannot read.

    `base_url` is the server's own, without a trailing slash: absolute references to it are local.
    """
    matching = Matching(base_url, time_zone)
    known = definitions(request.resource_type)
    predicates = []
    left = MOST_CONDITIONS
    for criterion in request.criteria:
        if _at_least(criterion, known) > left:
            raise _over(criterion)
        predicate = _predicate(criterion, known, request.resource_type, matching)
        left -= _conditions(predicate)
        if left < 0:
            raise _over(criterion)
        predicates.append(predicate)
    return Query(
        request.resource_type,
        tuple(predicates),
        tuple(
            [
                key
                for rule in request.sort
                if (key := sort_key(request.resource_type, rule.code, descending=rule.descending))
            ]
        ),
        default_count if request.count is None else min(request.count, max_count),
        request.total != "none" or request.count == 0,
    )


def _predicate(criterion: Criterion, known: dict[str, Definition], resource_type: str, matching: Matching) -> Predicate:
    if criterion.code == "_id":
        return IdIn(tuple([rid(resource_type, unescape(value)) for value in criterion.values]))
    if criterion.code == "_lastUpdated":
        return last_updated.match(criterion.values, matching)
    definition = known[criterion.code]
    return _MATCH[definition.search_type](definition, criterion.values, matching)


def _over(criterion: Criterion) -> InvalidSearch:
    return too_costly(
        f"This search compares with too many values, '{criterion.code}' goes over the limit: send several searches"
        " with fewer values each."
    )


def _at_least(criterion: Criterion, known: dict[str, Definition]) -> int:
    """Conditions that the criterion makes for certain: counted before its values are read."""
    definition = known.get(criterion.code)
    if definition is None or definition.search_type not in _BY_VALUE:
        return 0
    return len(criterion.values) * max(1, len(definition.sources))


_BY_VALUE = frozenset(("string", "date", "number", "quantity", "composite", "special"))
"""Types of which every value is a condition at least."""


def _conditions(predicate: Predicate) -> int:
    match predicate:
        case And(parts) | Or(parts):
            return sum(map(_conditions, parts))
        case Not(part):
            return _conditions(part)
    return 1
