"""What it takes to come from a query to its SQL and parameters: own text, and SQLAlchemy Core in three ways.

`python -m benchmarks.emitter` prints CPU microseconds for the search by patient, code and date, newest first.
docs/decisions/0007 rests on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from statistics import median
from typing import Any

from sqlalchemy import Select, and_, bindparam, exists, literal_column, select, true
from sqlalchemy.dialects.postgresql import dialect as postgresql
from sqlalchemy.dialects.sqlite import dialect as sqlite

from fhir_server.search.compile import compile_query
from fhir_server.search.parse import parse_search
from fhir_server.storage import query as q
from fhir_server.storage.sql import schema
from fhir_server.storage.sql.driver import SELECTIVE, Driver
from fhir_server.storage.sql.plan import Plan

PAIRS = [
    ("patient", "s1-0"),
    ("code", "http://loinc.org|718-7"),
    ("date", "ge2014-01-01"),
    ("_sort", "-date"),
    ("_count", "20"),
]
OBSERVATION = 96
"""The type's number in `type_stat`; any would do."""


def core(query: q.Query, on_postgresql: bool, named: bool = False) -> Select[Any]:
    """The statement as Core builds it. `named`: with bound parameters that get their values later."""
    code, date, patient = _parts(query)
    values = {
        "code_p": code.p,
        "code_v": code.values[0],
        "patient_p": patient.p,
        "patient_v": patient.values[0],
        "type": OBSERVATION,
        "date_p": date.p,
        "start": date.start_low,
        "end": date.end_low,
    }

    def value(name: str) -> Any:
        return bindparam(name) if named else values[name]

    n, j, m, x = (schema.number.alias(name) for name in "njmx")
    gone, version, stat, clock = (
        schema.superseded.alias("x"),
        schema.version.alias("ver"),
        schema.type_stat,
        schema.clock,
    )
    widest = select(stat.c.widest).where(stat.c.type == value("type")).scalar_subquery()
    driving = [n.c.p == value("patient_p"), n.c.v == value("patient_v"), n.c.k >= value("end") - widest]
    rows = select(n.c.seq, n.c.k)
    if on_postgresql:
        fence = literal_column("0")
        same = and_(j.c.k == n.c.k, j.c.seq == n.c.seq, j.c.p == value("code_p"), j.c.v == value("code_v"))
        fenced = select(x).where(x.c.seq == n.c.seq).offset(fence).correlate(n).subquery("m")
        dated = select(literal_column("1")).select_from(fenced)
        dated = dated.where(true(), fenced.c.p == value("date_p"), fenced.c.v >= value("start"))
        dated = dated.where(fenced.c.w >= value("end")).offset(fence).correlate(n)
        superseded = select(literal_column("1")).where(gone.c.seq == n.c.seq).offset(fence).correlate(n)
        coded = select(literal_column("1")).where(same).offset(fence).correlate(n)
        rows = rows.where(*driving, coded.exists(), dated.exists(), ~superseded.exists())
    else:
        same = and_(j.c.seq == n.c.seq, j.c.p == value("code_p"), j.c.v == value("code_v"), j.c.w == 0)
        dated = select(literal_column("1")).where(m.c.seq == j.c.seq, m.c.p == value("date_p"))
        dated = dated.where(m.c.v >= value("start"), m.c.w >= value("end")).correlate(j)
        superseded = exists(literal_column("1")).where(gone.c.seq == j.c.seq).correlate(j)
        rows = rows.select_from(n.join(j, same)).where(*driving, dated.exists(), ~superseded)
    rows = rows.order_by(n.c.k.desc(), n.c.seq.desc()).limit(literal_column(str(query.count + 1)))
    found = rows.subquery("q")
    columns = [version.c[name] for name in _VERSION]
    page = select(*columns, select(clock.c.seq).scalar_subquery(), found.c.k, found.c.seq)
    page = page.select_from(found.join(version, version.c.seq == found.c.seq))
    return page.order_by(found.c.k.desc(), found.c.seq.desc())


_VERSION = ("seq", "type", "id", "version", "last_updated", "method", "codec", "body")


def _parts(query: q.Query) -> tuple[q.NumberIn, q.PeriodRange, q.NumberIn]:
    patient, code, date = query.predicates
    assert isinstance(patient, q.NumberIn)
    assert isinstance(code, q.NumberIn)
    assert isinstance(date, q.PeriodRange)
    return code, date, patient


def shape(query: q.Query) -> tuple[tuple[Any, ...], list[Any]]:
    """What two queries with the same SQL text have in common, and the values in which they differ."""
    key: list[Any] = [query.resource_type, query.sort, query.count, query.snapshot is None, query.after is None]
    values: list[Any] = []
    for predicate in query.predicates:
        _shape(predicate, key, values)
    return tuple(key), values


def _shape(predicate: Any, key: list[Any], values: list[Any]) -> None:
    kind = type(predicate)
    key.append(kind)
    for name in _fields(kind):
        value = getattr(predicate, name)
        if isinstance(value, tuple):
            key.append(len(value))
            if kind in (q.And, q.Or):
                for part in value:
                    _shape(part, key, values)
            else:
                values += value
        elif value is None or isinstance(value, bool):
            key.append(value)
        elif kind is q.Not:
            _shape(value, key, values)
        else:
            values.append(value)


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def ways(query: q.Query, on_postgresql: bool) -> dict[str, Callable[[], Any]]:
    dialect = postgresql(paramstyle="numeric_dollar") if on_postgresql else sqlite()
    driver = Driver(SELECTIVE, query.predicates[0])
    compiled_cache: dict[Any, Any] = {}

    def cold() -> Any:
        compiled = core(query, on_postgresql).compile(dialect=dialect)
        return str(compiled), compiled.params

    def warm() -> Any:
        """What Connection.execute does before it has SQL and parameters."""
        compiled, extracted, *_ = core(query, on_postgresql)._compile_w_cache(
            dialect=dialect, compiled_cache=compiled_cache, column_keys=[], schema_translate_map=None
        )
        return compiled.string, compiled.construct_params(extracted_parameters=extracted)

    known: dict[Any, Any] = {}
    key, values = shape(query)
    compiled = core(query, on_postgresql, named=True).compile(dialect=dialect)
    # Whichever order the compiled statement has: a list of places in `values`, made once per shape.
    known[key] = (str(compiled), list(range(len(values))))

    def once() -> Any:
        key, values = shape(query)
        text, order = known[key]
        return text, [values[place] for place in order]

    return {
        "own text, built for each query": lambda: Plan(query, driver, on_postgresql).page(),
        "Core, built and compiled for each query": cold,
        "Core, built for each query, compiled once (SQLAlchemy's cache)": warm,
        "either, once per shape: key and values of the query only": once,
    }


def main() -> None:
    wanted = parse_search("Observation", PAIRS, strict=False)
    query = compile_query(wanted, base_url="http://127.0.0.1/fhir", time_zone="UTC")
    for on_postgresql in (False, True):
        print("PostgreSQL" if on_postgresql else "SQLite")
        for name, way in ways(query, on_postgresql).items():
            print(f"  {name:64} {_microseconds(way):8.1f}")


def _microseconds(way: Callable[[], Any], calls: int = 500, repeats: int = 9) -> float:
    way()
    runs = []
    for _ in range(repeats):
        started = time.process_time()
        for _ in range(calls):
            way()
        runs.append((time.process_time() - started) / calls * 1e6)
    return median(runs)


if __name__ == "__main__":
    main()
