"""Which parameters of a search cost most, for the one whose search was stopped (R4 search.html#errors)."""

from __future__ import annotations

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
from fhir_server.storage import query as q

_INDEX_ORDER = ("primary_date", "last_updated")
"""Orders in which matches come from the index: others are sorted."""


def costliest(request: SearchRequest, query: q.Query) -> list[str]:
    """The names of the parameters that narrow least where the index is walked, or that need all matches."""
    predicates = query.predicates[len(query.predicates) - len(request.criteria) :]
    costs = [_cost(predicate) for predicate in predicates]
    names = [
        named(one) for one, cost in zip(request.criteria, costs, strict=True) if cost == max(costs) or cost >= _PER_ROW
    ]
    if request.sort and [key.kind for key in query.sort] not in ([kind] for kind in _INDEX_ORDER):
        names.append("_sort")
    if query.total:
        names.append("_total" if request.total != "none" else "_count")
    return list(dict.fromkeys(names))


_EQUAL, _RANGE, _PER_ROW = range(3)
"""A few rows of an index; a range of one; asked of every candidate."""


def _cost(predicate: q.Predicate) -> int:
    match predicate:
        case q.And(parts):
            return min(map(_cost, parts), default=_EQUAL)
        case q.Or(parts):
            return max(map(_cost, parts), default=_EQUAL)
        case q.Not() | q.Exists() | q.RefersTo() | q.ReferredFrom() | q.TextContains() | q.Features():
            return _PER_ROW
        case q.NumberRange() | q.PeriodRange() | q.TextPrefix() | q.LastUpdatedRange() | q.TokenSystem():
            return _RANGE
    return _EQUAL


def named(condition: Condition) -> str:
    """The parameter as a search would write it."""
    match condition:
        case Criterion(code, _, modifier):
            return f"{code}:{modifier}" if modifier else code
        case Chained(code, target, inner):
            return f"{code}{f':{target}' if target else ''}.{named(inner)}"
        case ReverseChained(source, code, inner):
            return f"_has:{source}:{code}:{named(inner)}"
        case AllOf() | AnyOf() | NoneOf():
            return "_filter"
