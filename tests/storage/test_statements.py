"""The SQL of the main shapes of a search, as data: what a change of the emitter changes is seen here.

Whether the engines run it well is for test_plans.py; what it finds for tests/oracle and tests/cases.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from fhir_server.storage import query as q
from fhir_server.storage.rows import NO_DATE, VARIANT_PIECE
from fhir_server.storage.sql.driver import SELECTIVE, TOKEN, Driver, listing
from fhir_server.storage.sql.plan import Plan
from fhir_server.storage.sql.predicates import listing_parameter

NUMBER, TEXT = 80, 320
"""Row parameters; which search parameters they belong to does not matter here."""
CODE, STATUS, PERIOD, NAME = (
    q.NumberIn(NUMBER, (7,)),
    q.NumberIn(NUMBER + 8, (9,)),
    q.PeriodRange(NUMBER + 16, end_low=1000, primary=True),
    q.TextPrefix(TEXT, "ab"),
)
PART = q.TextContains(TEXT, "bcd", (11, 12))
HAS = q.ReferredFrom((NUMBER + 24,), q.Selection("Observation", (q.LookedUp(CODE),)))
CODES = q.NumberIn(NUMBER, (7, 8))
LISTED = listing_parameter("Observation")

VERSION = (
    "ver.seq, ver.type, ver.id, ver.version, ver.last_updated, ver.method, ver.codec, ver.body,"
    " (SELECT c.seq FROM clock c)"
)


class Shape(NamedTuple):
    """A query and its driver; the SQL for both engines, and the parameters in the order of PostgreSQL's numbers."""

    query: q.Query
    driver: Driver
    sqlite: str
    postgresql: str
    parameters: list[Any]


PAGES = {
    "a code, newest first": Shape(
        q.Query("Observation", (CODE,)),
        Driver(TOKEN, CODE),
        f"""SELECT {VERSION}, q.k, q.seq FROM
            (SELECT n.seq, n.k FROM number n WHERE n.p = ? AND n.v = ?
             AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq)
             ORDER BY n.k DESC, n.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
        f"""SELECT {VERSION}, q.k, q.seq FROM
            (SELECT n.seq, n.k FROM number n WHERE n.p = $1 AND n.v = $2
             AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq OFFSET 0)
             ORDER BY n.k DESC, n.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
        [NUMBER, 7],
    ),
    "its second page, as of a snapshot": Shape(
        q.Query("Observation", (CODE,), snapshot=90, after=(2000, 50)),
        Driver(TOKEN, CODE),
        f"""SELECT {VERSION}, q.k, q.seq FROM
            (SELECT n.seq, n.k FROM number n WHERE n.p = ? AND n.v = ? AND (n.k, n.seq) < (?, ?)
             AND +n.seq <= ? AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq AND x.next_seq <= ?)
             ORDER BY n.k DESC, n.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
        f"""SELECT {VERSION}, q.k, q.seq FROM
            (SELECT n.seq, n.k FROM number n WHERE n.p = $3 AND n.v = $4 AND (n.k, n.seq) < ($1, $2)
             AND n.seq <= $6 AND NOT EXISTS
             (SELECT 1 FROM superseded x WHERE x.seq = n.seq AND x.next_seq <= $5 OFFSET 0)
             ORDER BY n.k DESC, n.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
        [2000, 50, NUMBER, 7, 90, 90],
    ),
    "two codes, newest version first": Shape(
        q.Query("Observation", (CODES,), sort=(q.SortKey("last_updated", descending=True),)),
        Driver(SELECTIVE, CODES),
        f"""SELECT {VERSION}, q.seq FROM
            (SELECT DISTINCT n.seq FROM number n WHERE n.p = ? AND n.v IN (?, ?)
             AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq)
             ORDER BY n.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY q.seq DESC""",
        f"""SELECT {VERSION}, q.seq FROM
            (SELECT DISTINCT n.seq FROM number n WHERE n.p = $1 AND n.v = ANY($2::bigint[])
             AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq OFFSET 0)
             ORDER BY n.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY q.seq DESC""",
        [NUMBER, [7, 8]],
    ),
    "a prefix, sorted by the text": Shape(
        q.Query("Patient", (NAME,), sort=(q.SortKey("text", ps=(TEXT,)),)),
        Driver(SELECTIVE, NAME),
        f"""SELECT {VERSION}, q.s0, q.seq FROM
            (SELECT * FROM (SELECT f.seq AS seq,
              (SELECT min(s.v) FROM text s WHERE s.seq = f.seq AND s.p = ?) AS s0
              FROM (SELECT DISTINCT n.seq AS seq FROM text n WHERE n.p = ? AND n.v >= ? AND n.v < ?
               AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq)) f) o
             ORDER BY (o.s0 IS NULL) ASC, o.s0 ASC, o.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY (q.s0 IS NULL) ASC, q.s0 ASC, q.seq DESC""",
        f"""SELECT {VERSION}, q.s0, q.seq FROM
            (SELECT * FROM (SELECT f.seq AS seq,
              (SELECT min(s.v) FROM (SELECT * FROM text r WHERE r.seq = f.seq OFFSET 0) s WHERE TRUE AND s.p = $4) AS s0
              FROM (SELECT DISTINCT n.seq AS seq FROM text n WHERE n.p = $1 AND n.v >= $2 AND n.v < $3
               AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq OFFSET 0)) f) o
             ORDER BY (o.s0 IS NULL) ASC, o.s0 ASC, o.seq DESC LIMIT 21) q
            JOIN version ver ON ver.seq = q.seq ORDER BY (q.s0 IS NULL) ASC, q.s0 ASC, q.seq DESC""",
        [TEXT, "ab", "ab\U0010ffff", TEXT],
    ),
}

PAGES["a part of a text of resources without a date"] = Shape(
    q.Query("Patient", (PART,), dated=False, after=(NO_DATE, 50)),
    Driver(SELECTIVE, PART),
    f"""SELECT {VERSION}, q.k, q.seq FROM
        (SELECT n.seq, n.k FROM
         (SELECT c.seq, CAST({NO_DATE} AS bigint) AS k FROM
          (SELECT f.seq FROM posting f WHERE f.v = ?
           AND EXISTS (SELECT 1 FROM posting o WHERE o.v = ? AND o.seq = f.seq)) c ORDER BY +c.seq DESC LIMIT -1) n
         WHERE EXISTS (SELECT 1 FROM number m WHERE m.seq = n.seq AND m.p = ? AND m.v = ?) AND (n.k, n.seq) < (?, ?)
         AND EXISTS (SELECT 1 FROM text m WHERE m.seq = n.seq AND m.p IN (?, ?) AND instr(substr(m.v, 1, 200), ?) > 0)
         AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq) LIMIT 21) q
        JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
    f"""SELECT {VERSION}, q.k, q.seq FROM
        (SELECT n.seq, n.k FROM
         (SELECT c.seq, CAST({NO_DATE} AS bigint) AS k FROM
           unnest(ARRAY(SELECT f.seq FROM feature f WHERE f.items @> $1::int[])) c (seq) ORDER BY c.seq DESC OFFSET 0) n
         WHERE EXISTS (SELECT 1 FROM number m WHERE m.k = n.k AND m.seq = n.seq AND m.p = $2 AND m.v = $3 OFFSET 0)
         AND (n.k, n.seq) < ($4, $5)
         AND EXISTS (SELECT 1 FROM (SELECT * FROM text r WHERE r.seq = n.seq OFFSET 0) m
          WHERE TRUE AND m.p = ANY($6::int[]) AND strpos(substr(m.v, 1, 200), $7) > 0 OFFSET 0)
         AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq OFFSET 0) ORDER BY n.seq DESC LIMIT 21) q
        JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
    [[11, 12], listing_parameter("Patient"), 0, NO_DATE, 50, [TEXT, TEXT + VARIANT_PIECE], "bcd"],
)

PAGES["referred to by one of a few"] = Shape(
    q.Query("Patient", (HAS,)),
    listing("Patient"),
    f"""SELECT {VERSION}, q.k, q.seq FROM
        (SELECT n.seq, n.k FROM number n WHERE n.p = ? AND n.v = ?
         AND EXISTS (SELECT 1 FROM number m1
          WHERE m1.p = ? AND m1.v = (SELECT v.rid FROM version v WHERE v.seq = n.seq)
          AND +m1.seq IN (SELECT h2.seq FROM number h2 WHERE h2.p = ? AND h2.v = ?)
          AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = m1.seq))
         AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq) ORDER BY n.k DESC, n.seq DESC LIMIT 21) q
        JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
    f"""SELECT {VERSION}, q.k, q.seq FROM
        (SELECT n.seq, n.k FROM number n WHERE n.p = $1 AND n.v = $2
         AND EXISTS (SELECT 1 FROM number m1
          WHERE m1.p = $3 AND m1.v = (SELECT v.rid FROM version v WHERE v.seq = n.seq)
          AND (m1.seq IN (SELECT h2.seq FROM number h2 WHERE h2.p = $4 AND h2.v = $5)) IS TRUE
          AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = m1.seq OFFSET 0) OFFSET 0)
         AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.seq = n.seq OFFSET 0)
         ORDER BY n.k DESC, n.seq DESC LIMIT 21) q
        JOIN version ver ON ver.seq = q.seq ORDER BY q.k DESC, q.seq DESC""",
    [listing_parameter("Patient"), 0, NUMBER + 24, NUMBER, 7],
)

TOTALS = {
    "two common tokens, counted": Shape(
        q.Query("Observation", (CODE, STATUS)),
        Driver(TOKEN, CODE),
        """SELECT (SELECT count(*) FROM
            (SELECT n.seq FROM number n
             CROSS JOIN number j INDEXED BY number_search ON j.k = +n.k AND j.seq = n.seq AND j.p = ? AND j.v = ?
             WHERE n.p = ? AND n.v = ?) q) -
           (SELECT count(*) FROM superseded n
            WHERE EXISTS (SELECT 1 FROM number m WHERE m.seq = n.seq AND m.p = ? AND m.v = ?)
            AND EXISTS (SELECT 1 FROM number m WHERE m.seq = n.seq AND m.p = ? AND m.v = ?)
            AND EXISTS (SELECT 1 FROM number m WHERE m.seq = n.seq AND m.p = ? AND m.v = ?))""",
        """SELECT (SELECT count(*) FROM
            (SELECT n.seq FROM number n WHERE n.p = $1 AND n.v = $2 AND EXISTS
             (SELECT 1 FROM number m WHERE m.k = n.k AND m.seq = n.seq AND m.p = $3 AND m.v = $4 OFFSET 0)) q) -
           (SELECT count(*) FROM superseded n
            WHERE EXISTS (SELECT 1 FROM (SELECT * FROM number r WHERE r.seq = n.seq OFFSET 0) m
             WHERE TRUE AND m.p = $5 AND m.v = $6 OFFSET 0)
            AND EXISTS (SELECT 1 FROM (SELECT * FROM number r WHERE r.seq = n.seq OFFSET 0) m
             WHERE TRUE AND m.p = $7 AND m.v = $8 OFFSET 0)
            AND EXISTS (SELECT 1 FROM (SELECT * FROM number r WHERE r.seq = n.seq OFFSET 0) m
             WHERE TRUE AND m.p = $9 AND m.v = $10 OFFSET 0))""",
        [NUMBER, 7, NUMBER + 8, 9, LISTED, 0, NUMBER, 7, NUMBER + 8, 9],
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_this_statement(name: str) -> None:
    shape = PAGES[name]
    sqlite, postgresql = (Plan(shape.query, shape.driver, engine).page() for engine in (False, True))
    _compare(shape, sqlite, postgresql)


@pytest.mark.parametrize("name", TOTALS)
def test_a_total_is_this_statement(name: str) -> None:
    shape = TOTALS[name]
    sqlite, postgresql = (Plan(shape.query, shape.driver, engine).total() for engine in (False, True))
    _compare(shape, sqlite, postgresql)


def test_a_primary_date_is_probed_only_where_the_index_does_not_tell() -> None:
    query = q.Query("Observation", (CODE, PERIOD))
    sql, parameters = Plan(query, Driver(TOKEN, CODE), True).page()
    assert "AND n.k >= $4 - (SELECT s.widest FROM type_stat s WHERE s.type = $3)" in sql
    assert "AND ((n.k >= $7) OR EXISTS (SELECT 1 FROM (SELECT * FROM number r WHERE r.seq = n.seq OFFSET 0) m" in sql
    assert parameters[3] == parameters[6] == 1000


def _compare(shape: Shape, sqlite: tuple[str, list[object]], postgresql: tuple[str, list[object]]) -> None:
    assert sqlite[0] == _one_line(shape.sqlite)
    assert postgresql[0] == _one_line(shape.postgresql)
    assert postgresql[1] == shape.parameters
    # SQLite's markers stand for the values in the order of the text.
    values = [value for one in shape.parameters for value in (one if isinstance(one, list) else [one])]
    assert sorted(map(str, sqlite[1])) == sorted(map(str, values))
    assert len(sqlite[1]) == sqlite[0].count("?")


def _one_line(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip()
