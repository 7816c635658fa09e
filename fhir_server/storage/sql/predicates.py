"""Predicates as SQL conditions on one version: every leaf is a probe of its index rows by seq."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fhir_server import spec
from fhir_server.storage import query as q
from fhir_server.storage.rows import parameter
from fhir_server.storage.sql.dialect import Statement


@dataclass(frozen=True, slots=True)
class Outer:
    """The row whose version is asked about: its alias, and whether it has the k of its version beside the seq."""

    alias: str = "n"
    dated: bool = True


DRIVING = Outer()
UNDATED = Outer(dated=False)


def condition(predicate: q.Predicate, statement: Statement, resource_type: str, outer: Outer = DRIVING) -> str:
    """SQL that is true when the version of `outer` satisfies `predicate`."""
    seq = f"{outer.alias}.seq"
    match predicate:
        case q.And(parts):
            return _joined(" AND ", parts, statement, resource_type, outer)
        case q.Or(parts):
            return _joined(" OR ", parts, statement, resource_type, outer)
        case q.Not(part):
            return f"NOT {condition(part, statement, resource_type, outer)}"
        case q.IdIn(rids):
            wanted = statement.one_of("i.rid", rids)
            return statement.exists(f"SELECT 1 FROM version i WHERE i.seq = {seq} AND {wanted}")
        case q.LastUpdatedRange():
            return last_updated_bounds(predicate, statement, seq)
        case q.Exists(ps):
            return f"({_has_row('number', ps, statement, seq)} OR {_has_row('text', ps, statement, seq)})"
        case q.CompositeMatch():
            table = "composite"
        case q.TextIn() | q.TextPrefix():
            table = "text"
        case _:
            table = "number"
    where = row_condition(predicate, statement, resource_type, "m")
    if statement.postgresql and outer.dated and isinstance(predicate, _EQUALITIES):
        # One probe of the search index (p, v, k, seq), without a look at the table.
        return statement.exists(f"SELECT 1 FROM {table} m WHERE m.k = {outer.alias}.k AND m.seq = {seq} AND {where}")
    return statement.exists(f"SELECT 1 {statement.version_rows(table, 'm', seq)} AND {where}")


_EQUALITIES = (q.NumberIn, q.InCompartment, q.TextIn)


CHAIN = 100
"""Longer chains of OR and AND are taken in halves: SQLite refuses expressions deeper than 1,000."""


def _joined(word: str, parts: tuple[q.Predicate, ...], statement: Statement, resource_type: str, outer: Outer) -> str:
    if len(parts) > CHAIN:
        halves = parts[: len(parts) // 2], parts[len(parts) // 2 :]
        return f"({word.join(_joined(word, half, statement, resource_type, outer) for half in halves)})"
    return f"({word.join(condition(part, statement, resource_type, outer) for part in parts)})"


def _has_row(table: str, ps: tuple[int, ...], statement: Statement, seq: str) -> str:
    wanted = statement.one_of("m.p", ps, "int")
    return statement.exists(f"SELECT 1 {statement.version_rows(table, 'm', seq)} AND {wanted}")


def row_condition(predicate: q.Predicate, statement: Statement, resource_type: str, row: str) -> str:
    """SQL that is true when the index row `row` itself satisfies the leaf `predicate`."""
    bind = statement.bind
    match predicate:
        case q.NumberIn(p, values):
            return f"{row}.p = {bind(p)} AND {statement.one_of(f'{row}.v', values)}"
        case q.IdIn(rids):
            # The + keeps both engines from walking the type's rows in the order asked for instead.
            own = f"+{row}.p = {bind(listing_parameter(resource_type))} AND +{row}.v = 0"
            return f"{own} AND {statement.versions_of(f'{row}.seq', rids)}"
        case q.InCompartment(rids):
            return f"{row}.p = {bind(PATIENT_COMPARTMENT)} AND {statement.one_of(f'{row}.v', rids)}"
        case q.TokenCode(p, codes):
            known = f"SELECT t.v FROM token t WHERE {statement.one_of('t.code', codes, 'text')}"
            return f"{row}.p = {bind(p)} AND {row}.v IN ({known})"
        case q.TokenSystem(p, system):
            return f"{row}.p = {bind(p)} AND {row}.v IN (SELECT t.v FROM token t WHERE t.system = {bind(system)})"
        case q.NumberRange(p, low, high, w):
            parts = [f"{row}.p = {bind(p)}", *_bounds(f"{row}.v", low, high, statement)]
            if w is not None:
                parts.append(f"{row}.w = {bind(w)}")
            return " AND ".join(parts)
        case q.PeriodRange():
            parts = [f"{row}.p = {bind(predicate.p)}"]
            parts += _bounds(f"{row}.v", predicate.start_low, predicate.start_high, statement)
            parts += _bounds(f"{row}.w", predicate.end_low, predicate.end_high, statement)
            return " AND ".join(parts)
        case q.TextIn(p, values, w):
            text = f"{row}.p = {bind(p)} AND {statement.one_of(f'{row}.v', values, 'text')}"
            return text if w is None else f"{text} AND {row}.w = {bind(w)}"
        case q.TextPrefix(p, prefix):
            # Between the prefix and the last string that starts with it: an index range on folded text.
            return f"{row}.p = {bind(p)} AND {row}.v >= {bind(prefix)} AND {row}.v < {bind(prefix + LAST_CHARACTER)}"
        case q.CompositeMatch():
            return _composite_row(predicate, statement, row)
    raise TypeError(f"not a predicate of one index row: {type(predicate).__name__}")


PATIENT_COMPARTMENT = parameter(1)
"""Number rows of this parameter, for every type: v is the rid of a Patient whose compartment holds the resource."""


@cache
def listing_parameter(resource_type: str) -> int:
    """Number rows of this parameter, one for every resource of the type: v is 0."""
    return parameter(spec.parameter_number(resource_type, "_type"))


LAST_CHARACTER = "\U0010ffff"


def _bounds(column: str, low: int | None, high: int | None, statement: Statement) -> list[str]:
    parts = []
    if low is not None:
        parts.append(f"{column} >= {statement.bind(low)}")
    if high is not None:
        parts.append(f"{column} <= {statement.bind(high)}")
    return parts


def _composite_row(predicate: q.CompositeMatch, statement: Statement, row: str) -> str:
    parts = [f"{row}.p = {statement.bind(predicate.p)}"]
    for column, values, codes in (("a", predicate.a, predicate.a_codes), ("b", predicate.b_in, predicate.b_codes)):
        if values is not None:
            parts.append(statement.one_of(f"{row}.{column}", values))
        if codes is not None:
            known = f"SELECT t.v FROM token t WHERE {statement.one_of('t.code', codes, 'text')}"
            parts.append(f"{row}.{column} IN ({known})")
    parts += _bounds(f"{row}.b", predicate.b_low, predicate.b_high, statement)
    parts += _bounds(f"{row}.c", predicate.c_low, predicate.c_high, statement)
    if predicate.t_prefix is not None:
        bind = statement.bind
        parts.append(f"{row}.t >= {bind(predicate.t_prefix)} AND {row}.t < {bind(predicate.t_prefix + LAST_CHARACTER)}")
    return " AND ".join(parts)


def last_updated_bounds(predicate: q.LastUpdatedRange, statement: Statement, seq: str) -> str:
    """lastUpdated never decreases along seq, so a range of times is a range of seqs found through `tick`."""
    parts = []
    if predicate.low is not None:
        before = f"SELECT max(t.seq) FROM tick t WHERE t.last_updated < {statement.bind(predicate.low)}"
        parts.append(f"{seq} > coalesce(({before}), 0)")
    if predicate.high is not None:
        until = f"SELECT max(t.seq) FROM tick t WHERE t.last_updated <= {statement.bind(predicate.high)}"
        parts.append(f"{seq} <= coalesce(({until}), 0)")
    return "(" + (" AND ".join(parts) or "1 = 1") + ")"
