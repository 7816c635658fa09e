"""Predicates as SQL conditions on one index row: what a search walks and what it probes by seq."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from fhir_server import spec
from fhir_server.storage import query as q
from fhir_server.storage.contained import MARK, SHIFT
from fhir_server.storage.rows import TEXT_LIMIT, VARIANT_PIECE, parameter
from fhir_server.storage.sql.dialect import Statement


def row_condition(predicate: q.Predicate, statement: Statement, resource_type: str, row: str) -> str:
    """SQL that is true when the index row `row` itself satisfies `predicate`: a leaf, or some leaves of one table."""
    if isinstance(predicate, q.Or):
        return f"({' OR '.join(row_condition(part, statement, resource_type, row) for part in predicate.parts)})"
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
        case q.TokenCode() | q.TokenSystem() | q.TokenPrefix():
            known = f"SELECT t.v FROM token t WHERE {_dictionary_entry(predicate, statement)}"
            return f"{row}.p = {bind(predicate.p)} AND {row}.v IN ({known})"
        case q.NumberRange() | q.PeriodRange():
            return _range_row(predicate, statement, row)
        case q.TextIn() | q.TextPrefix() | q.TextContains():
            return _text_row(predicate, statement, row)
        case q.Features():
            return _featured(predicate.items, statement, resource_type, row)
        case q.CompositeMatch():
            return _composite_row(predicate, statement, row)
    raise TypeError(f"not a predicate of one index row: {type(predicate).__name__}")


def driving_condition(predicate: q.Predicate, statement: Statement, resource_type: str, row: str) -> str:
    """`row_condition` for rows that are walked: those of texts with certain features are looked up by these."""
    match predicate:
        case q.Or(parts):
            return f"({' OR '.join(driving_condition(part, statement, resource_type, row) for part in parts)})"
        case q.TextContains(features=features) if features:
            # The + keeps both engines from walking all rows of the parameter instead.
            return f"{_having(features, statement, row)} AND {_text_row(predicate, statement, row, '+')}"
    return row_condition(predicate, statement, resource_type, row)


PATIENT_COMPARTMENT = parameter(1)
"""Number rows of this parameter, for every type: v is the rid of a Patient whose compartment holds the resource."""


@cache
def listing_parameter(resource_type: str) -> int:
    """Number rows of this parameter, one for every resource of the type: v is 0."""
    if resource_type.startswith(MARK):
        return listing_parameter(resource_type.removeprefix(MARK)) + SHIFT
    return parameter(spec.parameter_number(resource_type, "_type"))


def table_of(predicate: q.Predicate) -> str:
    """The index table whose rows a leaf, or a disjunction of leaves, is about."""
    match predicate:
        case q.TextIn() | q.TextPrefix() | q.TextContains():
            return "text"
        case q.CompositeMatch():
            return "composite"
        case q.Or(parts):
            return table_of(parts[0])
    return "number"


LAST_CHARACTER = "\U0010ffff"


def starts_with(column: str, prefix: str, statement: Statement) -> str:
    """Between the prefix and the last string that starts with it: an index range on folded text."""
    return f"{column} >= {statement.bind(prefix)} AND {column} < {statement.bind(prefix + LAST_CHARACTER)}"


def _range_row(predicate: q.NumberRange | q.PeriodRange, statement: Statement, row: str) -> str:
    parts = [f"{row}.p = {statement.bind(predicate.p)}"]
    match predicate:
        case q.NumberRange(_, low, high, w):
            parts += _bounds(f"{row}.v", low, high, statement)
            if w is not None:
                parts.append(f"{row}.w = {statement.bind(w)}")
        case q.PeriodRange():
            parts += _bounds(f"{row}.v", predicate.start_low, predicate.start_high, statement)
            parts += _bounds(f"{row}.w", predicate.end_low, predicate.end_high, statement)
    return " AND ".join(parts)


def _dictionary_entry(predicate: q.TokenCode | q.TokenSystem | q.TokenPrefix, statement: Statement) -> str:
    match predicate:
        case q.TokenCode(_, codes):
            return statement.one_of("t.code", codes, "text")
        case q.TokenSystem(_, system):
            return f"t.system = {statement.bind(system)}"
        case q.TokenPrefix(_, system, prefix):
            return f"{starts_with('t.code', prefix, statement)} AND t.system = {statement.bind(system)}"


def _text_row(
    predicate: q.TextIn | q.TextPrefix | q.TextContains, statement: Statement, row: str, plus: str = ""
) -> str:
    match predicate:
        case q.TextIn(p, values, w):
            text = f"{row}.p = {statement.bind(p)} AND {statement.one_of(f'{row}.v', values, 'text')}"
            return text if w is None else f"{text} AND {row}.w = {statement.bind(w)}"
        case q.TextPrefix(p, prefix):
            return f"{row}.p = {statement.bind(p)} AND {starts_with(f'{row}.v', prefix, statement)}"
        case q.TextContains(at_end=True):
            return _ending(predicate, statement, row, plus)
        case q.TextContains(p, text):
            pieces = statement.one_of(f"{plus}{row}.p", (p, p + VARIANT_PIECE), "int")
            # Behind the limit stands the hash of a text that was cut.
            return f"{pieces} AND {statement.contains(f'substr({row}.v, 1, {TEXT_LIMIT})', text)}"


def _ending(predicate: q.TextContains, statement: Statement, row: str, plus: str) -> str:
    """Of a text within the limit its own row, of a longer one the pieces that reach its end: they are shorter than
    the others. w is 0 where the row is of a part of a value."""
    own = f"{plus}{row}.p = {statement.bind(predicate.p)} AND {row}.w <> 0 AND length({row}.v) <= {TEXT_LIMIT}"
    last = f"{plus}{row}.p = {statement.bind(predicate.p + VARIANT_PIECE)} AND length({row}.v) < {TEXT_LIMIT}"
    return f"({own} OR {last}) AND {statement.ends_with(f'{row}.v', predicate.text)}"


def _featured(items: tuple[int, ...], statement: Statement, resource_type: str, row: str) -> str:
    """The listing row of a resource that has all the features."""
    own = f"+{row}.p = {statement.bind(listing_parameter(resource_type))} AND +{row}.v = 0"
    return f"{own} AND {_having(items, statement, row)}"


def _having(items: tuple[int, ...], statement: Statement, row: str) -> str:
    """A row of a version that has all the features, which are looked up first."""
    versions = featured_versions(items, statement)
    return f"{row}.seq = ANY(ARRAY({versions}))" if statement.postgresql else f"{row}.seq IN ({versions})"


def featured_versions(items: tuple[int, ...], statement: Statement) -> str:
    """SELECT of the seqs of versions that have all the features; on SQLite by the first, which should be the rarest."""
    if statement.postgresql:
        return f"SELECT f.seq FROM feature f WHERE f.items @> {statement.bind(list(items))}::int[]"
    first, *others = items
    probe = "EXISTS (SELECT 1 FROM posting o WHERE o.v = {} AND o.seq = f.seq)"
    where = [f"f.v = {statement.bind(first)}", *(probe.format(statement.bind(item)) for item in others)]
    return f"SELECT f.seq FROM posting f WHERE {' AND '.join(where)}"


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
        parts.append(starts_with(f"{row}.t", predicate.t_prefix, statement))
    if predicate.within is not None:
        *centre, distance = predicate.within
        parts += _within(tuple(zip((f"{row}.a", f"{row}.b", f"{row}.c"), centre, strict=True)), distance, statement)
    return " AND ".join(parts)


def _within(axes: Sequence[tuple[str, int]], distance: int, statement: Statement) -> Iterator[str]:
    """In the box around the centre, whose first axis the index knows, and there in the sphere (Pythagoras)."""
    squares = []
    for column, middle in axes:
        yield from _bounds(column, middle - distance, middle + distance, statement)
        # As doubles: in millimetres across the Earth the squares are too large for an integer.
        away = f"CAST({column} - {statement.bind(middle)} AS double precision)"
        squares.append(f"{away} * {away}")
    yield f"{' + '.join(squares)} <= {statement.bind(float(distance) ** 2)}"


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
