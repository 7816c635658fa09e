"""The store's query language over the rows of one resource, written plainly from storage/query.py."""

from __future__ import annotations

import math
from typing import Any

from fhir_server.model.identity import rid
from fhir_server.search.compile import compile_query
from fhir_server.search.extract import extract
from fhir_server.search.parse import parse_search
from fhir_server.storage import query as q
from fhir_server.storage.rows import TEXT_LIMIT, VARIANT_PIECE, IndexRows

BASE_URL = "https://here.example.org/fhir"
TIME_ZONE = "Europe/London"


def matches(resource: dict[str, Any], *pairs: tuple[str, str]) -> bool:
    """Whether a search with `pairs` finds `resource`."""
    request = parse_search(resource["resourceType"], pairs, strict=True)
    query = compile_query(request, base_url=BASE_URL, time_zone=TIME_ZONE)
    rows = extract(resource, TIME_ZONE)
    return all(
        holds(predicate, rows, rid(resource["resourceType"], resource.get("id", ""))) for predicate in query.predicates
    )


def holds(predicate: q.Predicate, rows: IndexRows, own: int) -> bool:
    codes = {hashed: code for hashed, _, code in rows.tokens}
    systems = {hashed: system for hashed, system, _ in rows.tokens}
    match predicate:
        case q.And(parts):
            return all(holds(part, rows, own) for part in parts)
        case q.Or(parts):
            return any(holds(part, rows, own) for part in parts)
        case q.Not(part):
            return not holds(part, rows, own)
        case q.IdIn(rids):
            return own in rids
        case q.InCompartment(rids):
            return bool(set(rids) & set(rows.compartments))
        case q.NumberIn(p, values):
            return any(row_p == p and v in values for row_p, v, _ in rows.numbers)
        case q.TokenCode(p, wanted):
            return any(row_p == p and codes.get(v) in wanted for row_p, v, _ in rows.numbers)
        case q.TokenSystem(p, wanted_system):
            return any(row_p == p and systems.get(v) == wanted_system for row_p, v, _ in rows.numbers)
        case q.NumberRange(p, low, high, w):
            return any(row_p == p and _within(v, low, high) and w in (None, row_w) for row_p, v, row_w in rows.numbers)
        case q.PeriodRange():
            return any(
                row_p == predicate.p
                and _within(v, predicate.start_low, predicate.start_high)
                and _within(w, predicate.end_low, predicate.end_high)
                for row_p, v, w in rows.numbers
            )
        case q.TextIn(p, values, w):
            return any(row_p == p and v in values and w in (None, row_w) for row_p, v, row_w in rows.texts)
        case q.TextPrefix(p, prefix):
            return any(row_p == p and v.startswith(prefix) for row_p, v, _ in rows.texts)
        case q.TextContains(p, text, at_end=False):
            own = (p, p + VARIANT_PIECE)
            return any(row_p in own and text in v[:TEXT_LIMIT] for row_p, v, _ in rows.texts)
        case q.CompositeMatch():
            return any(_composite(predicate, row, codes) for row in rows.composites)
    raise AssertionError(f"no evaluation of {predicate}")


def _composite(predicate: q.CompositeMatch, row: tuple[int, int, int, int, str], codes: dict[int, str]) -> bool:
    p, a, b, c, t = row
    return (
        p == predicate.p
        and (predicate.a is None or a in predicate.a)
        and (predicate.a_codes is None or codes.get(a) in predicate.a_codes)
        and (predicate.b_in is None or b in predicate.b_in)
        and (predicate.b_codes is None or codes.get(b) in predicate.b_codes)
        and _within(b, predicate.b_low, predicate.b_high)
        and _within(c, predicate.c_low, predicate.c_high)
        and (predicate.t_prefix is None or t.startswith(predicate.t_prefix))
        and (predicate.within is None or math.dist((a, b, c), predicate.within[:3]) <= predicate.within[3])
    )


def _within(value: int, low: int | None, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
