"""Contained resources (R4 references.html#contained) as the stores keep them: versions and rows of types of their own.

A Medication contained as `#m` in MedicationRequest/1 is the resource `#Medication/MedicationRequest/1#m`. Its version
follows that of its container directly in seq, and its index rows have parameters of their own, so that no search that
does not mean contained resources ever meets one.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_server.storage import query as q
from fhir_server.storage.rows import VARIANTS, IndexRows

MARK = "#"
"""Before the name of a type: its contained resources."""
SHIFT = 1 << 26
"""Added to a row parameter: the parameter of contained resources."""


def number_of(p: int) -> int:
    """The number of the parameter that the row parameter `p` is of, contained or not."""
    return (p % SHIFT) // VARIANTS


def contained_type(resource_type: str) -> str:
    return MARK + resource_type


def contained_id(container: str, logical_id: str, fragment: str) -> str:
    """The logical id of what `container`/`logical_id` contains as `#fragment`."""
    return f"{container}/{logical_id}{MARK}{fragment}"


def container_of(contained: str) -> tuple[str, str, str]:
    """(type, id, fragment) from a logical id that `contained_id` made."""
    container, _, fragment = contained.partition(MARK)
    resource_type, _, logical_id = container.partition("/")
    return resource_type, logical_id, fragment


def shift_rows(rows: IndexRows) -> None:
    """Make the rows of a resource those of a contained one. It is in no compartment but its container's."""
    rows.numbers = [(p + SHIFT, v, w) for p, v, w in rows.numbers]
    rows.texts = [(p + SHIFT, v, w) for p, v, w in rows.texts]
    rows.composites = [(p + SHIFT, a, b, c, t) for p, a, b, c, t in rows.composites]
    rows.compartments = []


def contained_query(query: q.Query) -> q.Query:
    """`query` asked of the contained resources of its type."""
    keys = tuple(replace(key, ps=tuple(p + SHIFT for p in key.ps)) for key in query.sort)
    predicates = tuple(map(shift, query.predicates))
    own = contained_type(query.resource_type)
    return replace(query, resource_type=own, predicates=predicates, sort=keys, dated=True)


def shift(predicate: q.Predicate) -> q.Predicate:
    """`predicate` asked of a contained resource; what it refers to is asked as before."""
    match predicate:
        case q.And(parts):
            return q.And(tuple(map(shift, parts)))
        case q.Or(parts):
            return q.Or(tuple(map(shift, parts)))
        case q.Not(part):
            return q.Not(shift(part))
        case q.Exists() | q.RefersTo() | q.ReferredFrom():
            return replace(predicate, ps=tuple(p + SHIFT for p in predicate.ps))
        case (
            q.PeriodRange()
            | q.NumberIn()
            | q.NumberRange()
            | q.TokenCode()
            | q.TokenIn()
            | q.TokenSystem()
            | q.TokenPrefix()
        ):
            return replace(predicate, p=predicate.p + SHIFT)
        case q.TextIn() | q.TextPrefix() | q.TextContains() | q.CompositeMatch():
            return replace(predicate, p=predicate.p + SHIFT)
    return predicate
