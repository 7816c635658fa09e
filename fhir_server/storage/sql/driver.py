"""Which predicate of a query drives: the narrowest by kind, so that the fewest index rows are walked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fhir_server import spec
from fhir_server.storage import query as q
from fhir_server.storage.sql.dialect import Statement
from fhir_server.storage.sql.predicates import listing_parameter, row_condition

SELECTIVE, TOKEN, RANGE, LISTING = range(4)
"""How narrow a driving predicate is: a few rows, a code's rows, unknown until probed, all of the type."""

NARROW_ROWS = 5_000
"""A range predicate that matches fewer rows than this may drive."""


@dataclass(frozen=True, slots=True)
class Driver:
    """The index rows a search walks."""

    rank: int
    predicate: q.Predicate

    @property
    def table(self) -> str:
        match self.predicate:
            case q.TextIn() | q.TextPrefix():
                return "text"
            case q.CompositeMatch():
                return "composite"
        return "number"

    @property
    def one_row_per_version(self) -> bool:
        match self.predicate:
            case q.NumberIn(_, values) | q.InCompartment(values):
                return len(values) == 1
            case q.IdIn():
                return True
        return False


def listing(resource_type: str) -> Driver:
    """All resources of the type, by primary date."""
    return Driver(LISTING, q.NumberIn(listing_parameter(resource_type), (0,)))


def choose_driver(query: q.Query, *, narrow_ranges: bool) -> Driver:
    """`narrow_ranges`: a probe found that the query's first range predicate matches few rows."""
    best = listing(query.resource_type)
    for predicate in query.predicates:
        rank = _rank(predicate, query.resource_type)
        if rank < best.rank and (rank != RANGE or narrow_ranges):
            best = Driver(rank, predicate)
    return best


def _rank(predicate: q.Predicate, resource_type: str) -> int:
    match predicate:
        case q.IdIn() | q.TextIn() | q.InCompartment():
            return SELECTIVE
        case q.NumberIn(p, _):
            return SELECTIVE if p // 8 in _references(resource_type) else TOKEN
        case q.TokenCode() | q.CompositeMatch():
            return TOKEN
        case q.NumberRange() | q.TextPrefix() | q.PeriodRange(primary=False):
            return RANGE
    return LISTING


@cache
def _references(resource_type: str) -> frozenset[int]:
    parameters = spec.search_parameters(resource_type).values()
    return frozenset(parameter.number for parameter in parameters if parameter.type == "reference")


def range_probe(query: q.Query, postgresql: bool) -> tuple[str, list[object]] | None:
    """Counts up to NARROW_ROWS rows of the first range predicate, when nothing narrower could drive."""
    if choose_driver(query, narrow_ranges=False).rank != LISTING:
        return None
    ranges = [predicate for predicate in query.predicates if _rank(predicate, query.resource_type) == RANGE]
    if not ranges:
        return None
    statement = Statement(postgresql)
    where = row_condition(ranges[0], statement, query.resource_type, "n")
    rows = f"SELECT 1 FROM {Driver(RANGE, ranges[0]).table} n WHERE {where} LIMIT {NARROW_ROWS}"
    return statement.finished(f"SELECT count(*) FROM ({rows}) counted")
