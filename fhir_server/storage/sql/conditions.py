"""Predicates as SQL conditions on one version: every leaf is a probe of its index rows by seq."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.storage import query as q
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.rows import NO_DATE, VARIANT_PIECE
from fhir_server.storage.sql.dialect import Statement
from fhir_server.storage.sql.predicates import (
    driving_condition,
    last_updated_bounds,
    listing_parameter,
    row_condition,
    table_of,
)


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
        case q.Exists():
            return _has_value(predicate, statement, seq)
        case q.Features(items):
            return _has_features(items, statement, seq)
        case q.LookedUp(part):
            return _looked_up(part, statement, resource_type, seq)
        case q.RefersTo():
            return _refers_to(predicate, statement, outer)
        case q.ReferredFrom():
            return _referred_from(predicate, statement, outer)
    return _has_row(predicate, statement, resource_type, outer)


def _looked_up(predicate: q.Predicate, statement: Statement, resource_type: str, seq: str) -> str:
    """One of the versions that satisfy a leaf, which the engine reads once into a table in memory."""
    row = statement.alias("h")
    where = driving_condition(predicate, statement, resource_type, row)
    versions = f"SELECT {row}.seq FROM {table_of(predicate)} {row} WHERE {where}"
    # IS TRUE keeps PostgreSQL from making it a join, which it may start from the other end; + SQLite likewise.
    return f"({seq} IN ({versions})) IS TRUE" if statement.postgresql else f"+{seq} IN ({versions})"


def _has_row(predicate: q.Predicate, statement: Statement, resource_type: str, outer: Outer) -> str:
    """One of the version's own rows satisfies the leaf `predicate`."""
    seq = f"{outer.alias}.seq"
    table = table_of(predicate)
    if isinstance(predicate, (q.NumberIn, q.TextIn)) and len(predicate.values) > 1:
        return _one_of_many(predicate, table, statement, seq)
    where = row_condition(predicate, statement, resource_type, "m")
    if statement.postgresql and outer.dated and isinstance(predicate, _EQUALITIES):
        # One probe of the search index (p, v, k, seq), without a look at the table.
        return statement.exists(f"SELECT 1 FROM {table} m WHERE m.k = {outer.alias}.k AND m.seq = {seq} AND {where}")
    probe = statement.exists(f"SELECT 1 {statement.version_rows(table, 'm', seq)} AND {where}")
    if isinstance(predicate, q.PeriodRange) and predicate.primary and predicate.end_high is None and outer.dated:
        return f"({_certainly_within(predicate, statement, f'{outer.alias}.k')} OR {probe})"
    return probe


_EQUALITIES = (q.NumberIn, q.InCompartment, q.TextIn)


def _one_of_many(predicate: q.NumberIn | q.TextIn, table: str, statement: Statement, seq: str) -> str:
    """The version's few rows of p are looked up and compared with the values, not each of the values looked up."""
    pg_type = "text" if isinstance(predicate, q.TextIn) else "bigint"
    column = "m.v" if statement.postgresql else "+m.v"
    where = f"m.p = {statement.bind(predicate.p)} AND {statement.one_of(column, predicate.values, pg_type)}"
    if isinstance(predicate, q.TextIn) and predicate.w is not None:
        where += f" AND m.w = {statement.bind(predicate.w)}"
    return statement.exists(f"SELECT 1 {statement.version_rows(table, 'm', seq)} AND {where}")


def _certainly_within(predicate: q.PeriodRange, statement: Statement, k: str) -> str:
    """True of most matches of a primary date: k, the start of the earliest period, is itself within all bounds."""
    lows = [bound for bound in (predicate.start_low, predicate.end_low) if bound is not None]
    parts = [f"{k} >= {statement.bind(max([NO_DATE + 1, *lows]))}"]
    if predicate.start_high is not None:
        parts.append(f"{k} <= {statement.bind(predicate.start_high)}")
    return f"({' AND '.join(parts)})"


CHAIN = 100
"""Longer chains of OR and AND are taken in halves: SQLite refuses expressions deeper than 1,000."""


def _joined(word: str, parts: tuple[q.Predicate, ...], statement: Statement, resource_type: str, outer: Outer) -> str:
    if len(parts) > CHAIN:
        halves = parts[: len(parts) // 2], parts[len(parts) // 2 :]
        return f"({word.join(_joined(word, half, statement, resource_type, outer) for half in halves)})"
    return f"({word.join(condition(part, statement, resource_type, outer) for part in parts)})"


def _has_value(predicate: q.Exists, statement: Statement, seq: str) -> str:
    bind, parts = statement.bind, []
    for table in ("number", "text") if predicate.ws else ("number", "text", "composite"):
        if predicate.ws:
            wanted = f"{statement.one_of('m.p', predicate.ps, 'int')} AND {statement.one_of('m.w', predicate.ws)}"
        else:
            wanted = " OR ".join(f"m.p BETWEEN {bind(p)} AND {bind(p + VARIANT_PIECE)}" for p in predicate.ps)
        parts.append(statement.exists(f"SELECT 1 {statement.version_rows(table, 'm', seq)} AND ({wanted})"))
    return f"({' OR '.join(parts)})"


def _has_features(items: tuple[int, ...], statement: Statement, seq: str) -> str:
    if statement.postgresql:
        wanted = f"m.items @> {statement.bind(list(items))}::int[]"
        return statement.exists(f"SELECT 1 FROM feature m WHERE m.seq = {seq} AND {wanted}")
    probe = "EXISTS (SELECT 1 FROM posting m WHERE m.v = {} AND m.seq = {})"
    return "(" + " AND ".join(probe.format(statement.bind(item), seq) for item in items) + ")"


def live(resource_type: str) -> q.Predicate:
    """True of the indexed versions of the type: those that are current, or were within the retention horizon."""
    return q.NumberIn(listing_parameter(resource_type), (0,))


def _refers_to(predicate: q.RefersTo, statement: Statement, outer: Outer) -> str:
    """The rows of the candidate's references, and whether one of the resources at their other ends is selected."""
    row, other = statement.alias("m"), statement.alias("t")
    if predicate.urls:
        join = f"text {other} ON {other}.v = {row}.v AND ({row}.w = 0 OR {row}.w = {other}.w)"
        rows = statement.version_rows("text", row, f"{outer.alias}.seq", join)
        ends = [
            f"{other}.p = {statement.bind(url)} AND {_selected(selection, statement, Outer(other))}"
            for selection, url in zip(predicate.selections, predicate.urls, strict=True)
        ]
    else:
        rows = statement.version_rows("number", row, f"{outer.alias}.seq", f"version {other} ON {other}.rid = {row}.v")
        far = Outer(other, dated=False)
        ends = [
            # The + keeps SQLite from walking the type instead of looking the reference up.
            f"+{other}.type = {statement.bind(TYPE_NUMBERS[selection.resource_type])}"
            f" AND {condition(live(selection.resource_type), statement, selection.resource_type, far)}"
            f" AND {_selected(selection, statement, far)}"
            for selection in predicate.selections
        ]
    wanted = statement.one_of(f"{row}.p", predicate.ps, "int")
    return statement.exists(f"SELECT 1 {rows} AND {wanted} AND ({' OR '.join(f'({end})' for end in ends)})")


def _referred_from(predicate: q.ReferredFrom, statement: Statement, outer: Outer) -> str:
    """The rows that refer to the candidate, and whether one of them is of a selected resource."""
    row, selection = statement.alias("m"), predicate.selection
    wanted = statement.one_of(f"{row}.p", predicate.ps, "int")
    if predicate.url is None:
        own = f"SELECT v.rid FROM version v WHERE v.seq = {outer.alias}.seq"
        rows = f"FROM number {row} WHERE {wanted} AND {row}.v = ({own})"
    else:
        url = statement.alias("u")
        join = f"text {row} ON {wanted} AND {row}.v = {url}.v AND ({row}.w = 0 OR {row}.w = {url}.w)"
        rows = statement.version_rows("text", url, f"{outer.alias}.seq", join)
        rows += f" AND {url}.p = {statement.bind(predicate.url)}"
    return statement.exists(f"SELECT 1 {rows} AND {_selected(selection, statement, Outer(row))}")


def _selected(selection: q.Selection, statement: Statement, far: Outer) -> str:
    """The version of `far`, which is one of the selection's type, is there at the snapshot and satisfies everything."""
    wanted = [condition(one, statement, selection.resource_type, far) for one in selection.predicates]
    return " AND ".join([*wanted, statement.visible(far.alias)])
