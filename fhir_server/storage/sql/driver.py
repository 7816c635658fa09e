"""Which predicate of a query drives: the one that promises the fewest index rows to walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from fhir_server import spec
from fhir_server.storage import query as q
from fhir_server.storage.contained import MARK
from fhir_server.storage.sql.conditions import live
from fhir_server.storage.sql.dialect import Session, Statement
from fhir_server.storage.sql.predicates import driving_condition, featured_versions, table_of

SELECTIVE, TOKEN, RANGE, LISTING = range(4)
"""How narrow a driving predicate is: a few rows, a code's rows, unknown until counted, all of the type."""

NARROW_ROWS = 5_000
"""A predicate with fewer rows is narrow: its rows may be sorted. Counting for a page stops here."""

COUNTED_ROWS = (NARROW_ROWS + 1, 20_000, 100_000, 1_000_000)
"""How far rows are counted for a total, one step after the other."""

UNORDERED = (q.SortKey("last_updated"),)
"""An order that no candidate's rows come in."""

MERGED_VALUES = 16
"""Up to so many values of a driving predicate are walked side by side in index order and merged."""


@dataclass(frozen=True, slots=True)
class Driver:
    """The index rows a search walks."""

    rank: int
    predicate: q.Predicate
    others: tuple[q.Predicate, ...] = ()
    """Predicates to be asked before any others, those that fewest rows satisfy first."""

    rows: int | None = None
    """How many rows it has, where they were counted and are no more than NARROW_ROWS; else None."""

    @property
    def table(self) -> str:
        return table_of(self.predicate)

    @property
    def one_row_per_version(self) -> bool:
        match self.predicate:
            case q.NumberIn(_, values) | q.InCompartment(values):
                return len(values) == 1
            case q.IdIn() | q.Features():
                return True
        return False

    def walks(self) -> list[Driver] | None:
        """Drivers whose rows each come in index order and are together those of this one; None when there are none."""
        match self.predicate:
            case q.Or(parts):
                return [Driver(self.rank, part) for part in parts]
            case q.NumberIn(p, values) if len(values) > MERGED_VALUES:
                return None
            case q.NumberIn(p, values):
                return [Driver(self.rank, q.NumberIn(p, (value,))) for value in values]
        return [self]


def listing(resource_type: str) -> Driver:
    """All resources of the type, by primary date."""
    return Driver(LISTING, live(resource_type))


async def choose_driver(session: Session, query: q.Query, counted: Sequence[Counted] = ()) -> Driver:
    """The driver of a page of `query`, whose predicates are resolved (storage/sql/resolve.py).

    What is narrow by its kind is taken at once. Otherwise the rows of each candidate are counted, up to
    NARROW_ROWS, unless there is but one and its rows come in the order asked for. `counted`: what was counted before.
    """
    candidates = _candidates(query)
    if not candidates:
        return listing(query.resource_type)
    best = min(candidates, key=lambda one: one.rank)
    if best.rank == SELECTIVE:
        return best
    in_order = [one for one in candidates if one.rank == TOKEN and one.walks() is not None and _index_order(query)]
    if len(candidates) > 1 or not in_order:
        counted = counted or await _count_rows(session, query, candidates, NARROW_ROWS)
        others = tuple(one.driver.predicate for one in counted)
        if counted[0].rows < NARROW_ROWS:
            return Driver(SELECTIVE, counted[0].driver.predicate, others, counted[0].rows)
        sparse = [one.driver for one in counted if one.driver in in_order]
        if sparse:
            return replace(sparse[0], others=others)
    return in_order[0] if in_order else listing(query.resource_type)


async def narrow_driver(session: Session, query: q.Query) -> Driver | None:
    """The driver with the fewest rows, when they are few: their order does not matter."""
    driver = await choose_driver(session, replace(query, sort=UNORDERED))
    return None if driver.rank == LISTING else driver


async def counting_driver(session: Session, query: q.Query) -> tuple[Driver, Sequence[Counted]]:
    """The driver of the total: the candidate with the fewest rows, however many they are. Each row may cost a probe,
    so rows are counted further, and further again, until one candidate has come to its end. Also what was counted."""
    candidates = _candidates(query)
    if not candidates:
        return listing(query.resource_type), ()
    best = min(candidates, key=lambda one: one.rank)
    if best.rank == SELECTIVE or len(candidates) == 1:
        return best, ()
    for limit in COUNTED_ROWS:
        counted = await _count_rows(session, query, candidates, limit)
        if counted[0].rows < limit:
            break
    return replace(counted[0].driver, others=tuple(one.driver.predicate for one in counted)), counted


def scattered(driver: Driver, resource_type: str) -> bool:
    """The rows are of versions all over the database, and come in the order of k: not those of a patient."""
    match driver.predicate:
        case q.NumberIn(p):
            return p // 8 not in _references_to_patients(resource_type)
    return False


def _candidates(query: q.Query) -> list[Driver]:
    return [Driver(rank, one) for one in query.predicates if (rank := _rank(one, query.resource_type)) != LISTING]


def _index_order(query: q.Query) -> bool:
    """The page is in the order of k, which is that of the index."""
    return [key.kind for key in query.sort] in ([], ["primary_date"])


def _rank(predicate: q.Predicate, resource_type: str) -> int:
    match predicate:
        case q.IdIn() | q.InCompartment() | q.TextIn():
            return SELECTIVE
        case q.NumberIn(p, values) if p // 8 in _references_to_patients(resource_type) and len(values) <= MERGED_VALUES:
            return SELECTIVE
        case q.NumberIn():
            return TOKEN
        case q.CompositeMatch(b_in=b_in):
            return TOKEN if b_in is not None else RANGE
        case q.NumberRange() | q.TextPrefix() | q.PeriodRange(primary=False) | q.Features():
            return RANGE
        case q.TextContains(features=features):
            return RANGE if features else LISTING
        case q.Or(parts):
            ranks = {_rank(part, resource_type) for part in parts}
            simple = all(isinstance(part, _WALKED) for part in parts) and len(parts) <= MERGED_VALUES
            return max(ranks) if simple and len({table_of(part) for part in parts}) == 1 else LISTING
    return LISTING


_WALKED = (q.NumberIn, q.TextIn, q.NumberRange, q.TextPrefix, q.TextContains, q.CompositeMatch)
"""Leaves that are rows of one index in one place."""


@cache
def _references_to_patients(resource_type: str) -> frozenset[int]:
    """Parameters whose values have few rows each. Those that may be to the directory are not: one practitioner has a
    share of everything."""
    parameters = spec.search_parameters(resource_type.removeprefix(MARK)).values()
    return frozenset(
        one.number
        for one in parameters
        if one.type == "reference" and "Patient" in one.targets and not DIRECTORY.intersection(one.targets)
    )


DIRECTORY = frozenset(("Organization", "Practitioner", "PractitionerRole", "HealthcareService"))


@dataclass(frozen=True, slots=True)
class Counted:
    driver: Driver
    rows: int
    """Up to the limit of the count."""
    reaches: int
    """k of the last of the rows counted, newest first: where it is oldest, the rows are sparse."""


async def _count_rows(session: Session, query: q.Query, candidates: Sequence[Driver], limit: int) -> list[Counted]:
    """The candidates with their rows, the fewest first; of those that reach the limit the sparsest first."""
    statement = Statement(session.postgresql)
    counts = []
    for place, candidate in enumerate(candidates):
        reaches = str(UNKNOWN)
        match candidate.predicate:
            case q.Features(features) | q.TextContains(features=features) if features:
                rows = featured_versions(features, statement)
            case predicate:
                where = driving_condition(predicate, statement, query.resource_type, "n")
                rows = f"SELECT n.k FROM {candidate.table} n WHERE {where}"
        if isinstance(candidate.predicate, q.NumberIn) and len(candidate.predicate.values) == 1:
            rows += " ORDER BY n.k DESC"
            reaches = f"coalesce(min(counted.k), {UNKNOWN})"
        counts.append(f"SELECT {place}, count(*), {reaches} FROM ({rows} LIMIT {limit}) counted")
    found = await session.fetch(*statement.finished(" UNION ALL ".join(counts)))
    counted = [Counted(candidates[place], rows, reaches) for place, rows, reaches in found]
    return sorted(counted, key=lambda one: (one.rows, one.driver.rank, one.reaches))


UNKNOWN = 2**62
"""Where rows reach that do not come in the order of k: no sparser than any."""
