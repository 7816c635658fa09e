"""From a SearchRequest to the store's Query."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.model.identity import rid, symbol
from fhir_server.search.compartment import member_of
from fhir_server.search.criteria import applies, target_types
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import NOTHING, Knowledge, Matching, any_of, unescape
from fhir_server.search.parameters import (
    composite,
    date,
    full_text,
    last_updated,
    number,
    quantity,
    reference,
    special,
    string,
    token,
    uri,
)
from fhir_server.search.primary import primary_date
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
from fhir_server.search.sorting import sort_key
from fhir_server.settings import Settings
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.contained import contained_query, contained_type, shift
from fhir_server.storage.query import (
    And,
    Exists,
    IdIn,
    Not,
    Or,
    Predicate,
    Query,
    ReferredFrom,
    RefersTo,
    Selection,
)
from fhir_server.storage.rows import VARIANT_EXTERNAL, VARIANT_PRESENT

DEFAULT_COUNT: int = Settings.model_fields["default_count"].default
MAX_COUNT: int = Settings.model_fields["max_count"].default
MOST_CONDITIONS = 200
"""Most conditions of all values together: a value that is not looked up by equality is one, or a few, of the statement
(docs/spec-clarifications/search.md, search-14)."""

_MATCH: dict[str, Callable[[Definition, str, tuple[str, ...], Matching], Predicate]] = {
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
    knowledge: Knowledge = NOTHING,
    registry: Registry = R4,
) -> Query:
    """The query that answers `request`. Raises InvalidSearch for values its parameters cannot read.

    `base_url` is the server's own, without a trailing slash: absolute references to it are local. `knowledge` holds
    what `search.knowledge` found the request to need.
    """
    (query,) = compile_queries(
        request, Matching(base_url, time_zone, knowledge, registry), default_count=default_count, max_count=max_count
    )
    return query


def compile_queries(
    request: SearchRequest, matching: Matching, *, default_count: int, max_count: int
) -> tuple[Query, ...]:
    """The queries, one for each type searched and one for what is contained of it, that answer `request` together."""
    count = default_count if request.count is None else min(request.count, max_count)
    total = request.total != "none" or request.count == 0
    found = [_query(request, one, matching, count, total) for one in request.types]
    if request.contained == "false":
        return tuple(found)
    inside = [contained_query(query) for query in found]
    return tuple(inside if request.contained == "true" else [*found, *inside])


def _query(request: SearchRequest, resource_type: str, matching: Matching, count: int, total: bool) -> Query:
    compiler, registry = _Compiler(matching), matching.registry
    within = () if request.compartment is None else (member_of(registry, request.compartment, resource_type),)
    criteria = tuple([compiler.predicate(one, resource_type) for one in request.criteria])
    keys = [sort_key(registry, resource_type, rule.code, descending=rule.descending) for rule in request.sort]
    sort = tuple([key for key in keys if key])
    dated = primary_date(resource_type) is not None
    return Query(resource_type, (*within, *criteria), sort, count, total, dated=dated)


class _Compiler:
    """Turns conditions into predicates and counts what they cost."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._definitions = matching.registry.definitions
        self._left = MOST_CONDITIONS
        self._applying: dict[tuple[int, str], bool] = {}

    def predicate(self, condition: Condition, resource_type: str) -> Predicate:
        match condition:
            case Criterion():
                return self._criterion(condition, resource_type)
            case Chained():
                return self._chain(condition, self._definitions(resource_type)[condition.code])
            case ReverseChained():
                return self._reverse_chain(condition, resource_type)
            case AllOf(parts):
                return And(tuple([self.predicate(part, resource_type) for part in parts]))
            case AnyOf(parts):
                return Or(tuple([self.predicate(part, resource_type) for part in parts]))
            case NoneOf(part):
                return Not(self.predicate(part, resource_type))

    def _criterion(self, criterion: Criterion, resource_type: str) -> Predicate:
        if _at_least(criterion, self._definitions(resource_type).get(criterion.code)) > self._left:
            raise _over(criterion)
        predicate = _predicate(criterion, resource_type, self._matching)
        self._left -= _conditions(predicate)
        if self._left < 0:
            raise _over(criterion)
        return predicate

    def _chain(self, chain: Chained, definition: Definition) -> Predicate:
        types = (chain.target,) if chain.target else target_types(definition)
        selections = self._selections(chain.condition, types)
        parts: list[Predicate] = []
        for source in definition.sources:
            wanted = tuple(one for one in selections if source.only in ("", one.resource_type))
            if wanted and definition.element_types & _BY_RID:
                inside = tuple(_inside(one) for one in wanted)
                parts.append(RefersTo((source.p,), (*wanted, *inside)))
            if definition.element_types & _BY_URL:
                located = [(one, url) for one in wanted if (url := self._url(one.resource_type)) is not None]
                if located:
                    canonical, urls = zip(*located, strict=True)
                    parts.append(RefersTo((source.p + VARIANT_EXTERNAL,), canonical, urls))
        return any_of(parts or [IdIn(())])

    def _selections(self, condition: Condition, types: tuple[str, ...]) -> list[Selection]:
        """The condition of each type that can read it: `type` is a code here and a boolean there.

        What nothing is stored of is asked only whether it can.
        """
        found = []
        refusal: InvalidSearch | None = None
        readable = False
        for one in sorted(types, key=self._is_unknown):
            if readable and self._is_unknown(one):
                break
            if applies(condition, one, self._matching.registry, self._applying):
                try:
                    selection = Selection(one, (self.predicate(condition, one),))
                except InvalidSearch as reason:
                    if reason.issues[0].code == "too-costly":
                        raise
                    refusal = reason
                    # Counted too: links to many types lead to as many refusals.
                    self._left -= 1
                    if self._left < 0:
                        raise _many_ends() from None
                else:
                    readable = True
                    found += [] if self._is_unknown(one) else [selection]
        if refusal and not readable:
            raise refusal
        return found

    def _is_unknown(self, resource_type: str) -> bool:
        """Nothing of the type is stored, nor contained in what is."""
        known = self._matching.knowledge.types
        return known is not None and not known & {resource_type, contained_type(resource_type)}

    def _reverse_chain(self, chain: ReverseChained, resource_type: str) -> Predicate:
        definition = self._definitions(chain.resource_type)[chain.code]
        selection = Selection(chain.resource_type, (self.predicate(chain.condition, chain.resource_type),))
        ps = tuple(source.p for source in definition.sources if source.only in ("", resource_type))
        parts: list[Predicate] = []
        if ps and definition.element_types & _BY_RID:
            parts.append(ReferredFrom(ps, selection))
        url = self._url(resource_type)
        if ps and url is not None and definition.element_types & _BY_URL:
            parts.append(ReferredFrom(tuple(p + VARIANT_EXTERNAL for p in ps), selection, url))
        return any_of(parts or [IdIn(())])

    def _url(self, resource_type: str) -> int | None:
        definition = self._definitions(resource_type).get("url")
        return definition.p if definition else None


def _inside(selection: Selection) -> Selection:
    """The same of contained resources: a chain looks into them (R4 search.html#contained)."""
    return Selection(contained_type(selection.resource_type), tuple(map(shift, selection.predicates)))


_BY_RID = frozenset(("Reference", "Resource"))
_BY_URL = frozenset(("canonical", "uri"))
"""Elements that refer by the url of a conformance resource."""


def _predicate(criterion: Criterion, resource_type: str, matching: Matching) -> Predicate:
    values = criterion.values
    match criterion.code:
        case "_id" | "_lastUpdated" if criterion.modifier == "missing":
            return IdIn(()) if values == ("true",) else Not(IdIn(()))
        case "_id":
            found: Predicate = IdIn(tuple([rid(resource_type, unescape(value)) for value in values]))
            return Not(found) if criterion.modifier == "not" else found
        case "_lastUpdated":
            return last_updated.match(values, matching)
        case "_list":
            return IdIn(tuple(_listed(resource_type, values, matching.knowledge)))
        case "_text" | "_content":
            return any_of([full_text.match(resource_type, criterion.code, unescape(value)) for value in values])
    definition = matching.registry.definitions(resource_type)[criterion.code]
    match criterion.modifier:
        case "missing":
            present = _present(definition)
            return Not(present) if values == ("true",) else present
        case "not":
            return Not(_MATCH["token"](definition, "", values, matching))
    return _MATCH[definition.search_type](definition, criterion.modifier, values, matching)


def _present(definition: Definition) -> Predicate:
    everything = tuple(source.p for source in definition.sources if not source.only)
    restricted = [source for source in definition.sources if source.only]
    parts: list[Predicate] = [Exists(everything)] if everything else []
    parts += [Exists((source.p, source.p + VARIANT_PRESENT), _marks(source.only)) for source in restricted]
    return any_of(parts)


def _marks(only: str) -> tuple[int, ...]:
    """w of the rows that a restriction leaves: references to a type (to contained ones too), contacts of a system."""
    if only in TYPE_NUMBERS:
        return TYPE_NUMBERS[only], TYPE_NUMBERS[contained_type(only)]
    return (symbol(only),)


def _listed(resource_type: str, values: Iterable[str], knowledge: Knowledge) -> Iterable[int]:
    for value in values:
        for target, logical_id in knowledge.lists[value]:
            if target == resource_type:
                yield rid(target, logical_id)


def _over(criterion: Criterion) -> InvalidSearch:
    return too_costly(
        f"This search compares with too many values, '{criterion.code}' goes over the limit: send several searches"
        " with fewer values each."
    )


def _many_ends() -> InvalidSearch:
    return too_costly(
        "This chain leads to too many types: name the type of each reference, as in subject:Patient.name."
    )


def _at_least(criterion: Criterion, definition: Definition | None) -> int:
    """Conditions that the criterion makes for certain: counted before its values are read."""
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
        case RefersTo() | ReferredFrom():
            return 0  # their inner predicates were counted
    return 1
