"""A Query as one SQL statement: the driving rows in the order asked for, every other predicate a probe by seq.

In the common orders (newest primary date first, or by lastUpdated) the driving rows come from the index in
that order and the page stops after LIMIT rows (docs/architecture.md, "How a search runs").
"""

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.storage import query as q
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.rows import NO_DATE
from fhir_server.storage.sql.conditions import DRIVING, UNDATED, Outer, condition
from fhir_server.storage.sql.dialect import Statement
from fhir_server.storage.sql.driver import LISTING, SELECTIVE, Driver, listing, scattered
from fhir_server.storage.sql.predicates import driving_condition, featured_versions, listing_parameter

VERSION_COLUMNS = "ver.seq, ver.type, ver.id, ver.version, ver.last_updated, ver.method, ver.codec, ver.body"
WITHOUT_BODY = VERSION_COLUMNS.replace("ver.body", "NULL")


class Plan:
    """The statements of one query, whose predicates are resolved, on one engine."""

    def __init__(self, query: q.Query, driver: Driver, postgresql: bool, *, merged: bool = False) -> None:
        """`merged`: its rows are put in order together with other plans', of which a date need not be the primary."""
        self.query = query
        self._merged = merged
        self.driver = driver
        self.order = query.sort or self._own_order()
        self._postgresql = postgresql
        self._statement = Statement(postgresql, query.snapshot)

    def _own_order(self) -> tuple[q.SortKey, ...]:
        """Newest primary date first; newest version first where bounds on lastUpdated narrow a whole type."""
        bounded = any(isinstance(predicate, q.LastUpdatedRange) for predicate in self.query.predicates)
        return q.BY_LAST_UPDATED if bounded and self.driver.rank == LISTING else q.BY_DATE

    def page(self) -> tuple[str, list[object]]:
        """count + 1 rows of VERSION_COLUMNS, the clock's seq, then the values a cursor continues after."""
        statement = Statement(self._postgresql, self.query.snapshot)
        columns, rows, ordering = self.in_order(statement)
        return statement.finished(page_of(rows, columns, ordering, bodies=self.query.bodies))

    def in_order(self, statement: Statement) -> tuple[list[str], str, str]:
        """The rows of the page as part of `statement`: their columns, the values a cursor continues after with seq
        last; a SELECT of them; and their order as rows q."""
        self._statement = statement
        kinds = [key.kind for key in self.order]
        descending = self.order[0].descending
        if kinds == ["primary_date"] and not self._merged:
            return ["k", "seq"], self._by_date(descending), self._date_order("q", descending)
        if kinds == ["last_updated"]:
            return ["seq"], self._by_seq(descending), f"q.seq {self._way(descending)}"
        columns = [*(f"s{n}" for n in range(len(kinds))), "seq"]
        return columns, self._by_values(), self._value_order("q")

    def total(self) -> tuple[str, list[object]]:
        """The number of matches. A broad count subtracts the few superseded versions: no probe for each row."""
        self._statement = statement = Statement(self._postgresql, self.query.snapshot)
        snapshot = self.query.snapshot
        if self.driver.rank == SELECTIVE:
            return statement.finished(f"SELECT count(*) FROM ({self._rows(self.driver, 'n.seq')}) q")
        until = "" if snapshot is None else f" AND n.seq <= {statement.bind(snapshot)}"
        found = self._rows(self.driver, "n.seq", bounds=until, superseded_too=True)
        gone = "SELECT count(*) FROM superseded n WHERE " + self._of_the_type(UNDATED)
        gone += "" if snapshot is None else f" AND n.next_seq <= {statement.bind(snapshot)}"
        gone += self._probes(self.query.predicates, UNDATED)
        return statement.finished(f"SELECT (SELECT count(*) FROM ({found}) q) - ({gone})")

    def joined(self, column: str, join: str, limit: int) -> tuple[str, list[object]]:
        """`column` of `join`, the rows beside a match q, of up to `limit` matches; NULL for a match that has none."""
        self._statement = Statement(self._postgresql, self.query.snapshot)
        rows = self._rows(self.driver, "n.seq AS seq")
        return self._statement.finished(f"SELECT {column} FROM ({rows} LIMIT {limit}) q LEFT JOIN {join} LIMIT {limit}")

    def joined_once(self, column: str, join: str, limit: int) -> tuple[str, list[object]]:
        """As `joined`, of all matches: up to `limit` different values."""
        self._statement = Statement(self._postgresql, self.query.snapshot)
        rows = self._rows(self.driver, "n.seq AS seq")
        return self._statement.finished(f"SELECT DISTINCT {column} FROM ({rows}) q LEFT JOIN {join} LIMIT {limit}")

    # -- conditions ------------------------------------------------------------------------------------------

    def _rows(
        self,
        driver: Driver,
        columns: str,
        *,
        bounds: str = "",
        covered: q.Predicate | None = None,
        superseded_too: bool = False,
    ) -> str:
        """SELECT of the driving rows that satisfy everything; `covered` is the predicate the driver stands for.

        Whether a version is superseded is tested last: nearly none is.
        """
        where = driving_condition(driver.predicate, self._statement, self.query.resource_type, "n")
        where += self._date_bounds() + bounds
        places = {id(predicate): place for place, predicate in enumerate(self.driver.others)}
        others = [predicate for predicate in self.query.predicates if predicate is not (covered or driver.predicate)]
        others.sort(key=lambda predicate: places.get(id(predicate), len(places)))
        join, outer, once = self._joined(driver, others)
        where += self._probes(others, outer)
        if isinstance(driver.predicate, q.InCompartment):
            where += " AND " + self._of_the_type(outer)
        if not superseded_too:
            where += self._visible(outer)
        distinct = "" if driver.one_row_per_version and once else "DISTINCT "
        return f"SELECT {distinct}{columns} FROM {driver.table} n{join} WHERE {where}"

    def _joined(self, driver: Driver, others: list[q.Predicate]) -> tuple[str, Outer, bool]:
        """Takes an equality out of `others` as a join, on SQLite, where it costs a third less than EXISTS.

        Of several, the one with the most values: inside EXISTS a long list would be read again for each candidate.
        What remains is asked of the row found, so that SQLite does not ask it of those that the join drops. Also
        returns whether there is one such row at most: the key is given whole.

        A patient's versions lie together in the table, where they are looked up. Those of a code are scattered, but
        its rows come in the order of the index, which the look-ups go along (there the + keeps SQLite from
        concluding bounds on k instead).
        """
        equalities = [one for one in others if isinstance(one, q.NumberIn)]
        if self._postgresql or not equalities:
            return "", DRIVING, True
        wanted = max(equalities, key=lambda one: len(one.values))
        others.remove(wanted)
        # The + has the version's few rows compared with the list, not each value of the list looked up.
        column = "j.v" if len(wanted.values) == 1 else "+j.v"
        row = f"j.p = {self._statement.bind(wanted.p)} AND {self._statement.one_of(column, wanted.values)}"
        once = len(wanted.values) == 1
        along = (
            "INDEXED BY number_search ON j.k = +n.k AND"
            if once and scattered(driver, self.query.resource_type)
            else "ON"
        )
        return f" CROSS JOIN number j {along} j.seq = n.seq AND {row}", Outer("j"), once

    def _probes(self, predicates: Iterable[q.Predicate], outer: Outer) -> str:
        resource_type = self.query.resource_type
        return "".join(f" AND {condition(p, self._statement, resource_type, outer)}" for p in predicates)

    def _of_the_type(self, outer: Outer) -> str:
        resource_type = self.query.resource_type
        return condition(listing(resource_type).predicate, self._statement, resource_type, outer)

    def _visible(self, outer: Outer = DRIVING) -> str:
        return f" AND {self._statement.visible(outer.alias)}"

    def _date_bounds(self) -> str:
        """Bounds on k that every match of a primary-date predicate obeys; its probe decides, this narrows the walk.

        k is the start of the earliest date of the resource, and no date of the type is longer than `widest`.
        """
        bind, sql = self._statement.bind, ""
        for predicate in self.query.predicates:
            if not isinstance(predicate, q.PeriodRange) or not predicate.primary:
                continue
            upper = [bound for bound in (predicate.start_high, predicate.end_high) if bound is not None]
            lower = [bound for bound in (predicate.start_low, predicate.end_low) if bound is not None]
            if upper:
                sql += f" AND n.k <= {bind(min(upper))}"
            if lower:
                widest = (
                    f"SELECT s.widest FROM type_stat s WHERE s.type = {bind(TYPE_NUMBERS[self.query.resource_type])}"
                )
                sql += f" AND n.k >= {bind(max(lower))} - ({widest})"
        return sql

    # -- by primary date -------------------------------------------------------------------------------------

    def _by_date(self, descending: bool) -> str:
        """Walks in k order. Ascending, resources without a date come last: dated and undated are walked apart."""
        if not self.query.dated and self.driver.rank == SELECTIVE and (versions := self._versions()):
            return self._by_version(versions, descending)
        halves = ("",) if descending else (f" AND n.k > {NO_DATE}", f" AND n.k = {NO_DATE}")
        branches = [
            self._date_branch(driver, half, descending)
            for driver in self.driver.walks() or [self.driver]
            for half in halves
        ]
        if len(branches) == 1:
            return branches[0]
        merged = " UNION ".join(f"SELECT * FROM ({branch}) b{n}" for n, branch in enumerate(branches))
        return f"SELECT * FROM ({merged}) u ORDER BY {self._date_order('u', descending)} LIMIT {self.query.count + 1}"

    def _versions(self) -> str:
        """SELECT of the seqs that a driver without an index of its own finds."""
        match self.driver.predicate:
            case q.IdIn(rids):
                return self._statement.versions(tuple(dict.fromkeys(rids)))
            case q.Features(features) | q.TextContains(features=features) if features:
                return featured_versions(features, self._statement)
        return ""

    def _by_version(self, versions: str, descending: bool) -> str:
        """Resources without a date come in the order of their versions: the few are sorted before anything is asked
        of them, and asked one by one until the page is full."""
        way, none = self._way(descending), f"CAST({NO_DATE} AS bigint)"
        if self._postgresql:
            found = f"SELECT c.seq, {none} AS k FROM unnest(ARRAY({versions})) c (seq) ORDER BY c.seq {way} OFFSET 0"
            order = f" ORDER BY n.seq {way}"
        else:
            # It keeps to the order of a sub-query that has a limit. Told the order again, it would sort again.
            found = f"SELECT c.seq, {none} AS k FROM ({versions}) c ORDER BY +c.seq {way} LIMIT -1"
            order = ""
        known = self.driver.predicate if isinstance(self.driver.predicate, q.IdIn) else None
        where = f"{self._of_the_type(DRIVING)}{self._after_date('n', descending)}"
        where += self._probes([one for one in self.query.predicates if one is not known], DRIVING) + self._visible()
        return f"SELECT n.seq, n.k FROM ({found}) n WHERE {where}{order} LIMIT {self.query.count + 1}"

    def _date_branch(self, driver: Driver, half: str, descending: bool) -> str:
        bounds = half + self._after_date("n", descending)
        rows = self._rows(driver, "n.seq, n.k", bounds=bounds, covered=self.driver.predicate)
        way = self._way(descending)
        return f"{rows} ORDER BY n.k {way}, n.seq {way} LIMIT {self.query.count + 1}"

    def _after_date(self, row: str, descending: bool) -> str:
        if self.query.after is None:
            return ""
        k, seq = (self._statement.bind(value) for value in self.query.after)
        undated = self.query.after[0] == NO_DATE
        if descending:
            return f" AND ({row}.k, {row}.seq) {self._beyond(descending)} ({k}, {seq})"
        if self.query.backward:
            if undated:
                return f" AND ({row}.k > {k} OR ({row}.k = {k} AND {row}.seq < {seq}))"
            return f" AND ({row}.k, {row}.seq) < ({k}, {seq}) AND {row}.k > {NO_DATE}"
        if undated:
            return f" AND {row}.k = {k} AND {row}.seq > {seq}"
        return f" AND (({row}.k, {row}.seq) > ({k}, {seq}) OR {row}.k = {NO_DATE})"

    def _date_order(self, row: str, descending: bool) -> str:
        way = self._way(descending)
        dated_first = "" if descending else f"({row}.k = {NO_DATE}) {way}, "
        return f"{dated_first}{row}.k {way}, {row}.seq {way}"

    # -- by lastUpdated, which is seq order ------------------------------------------------------------------

    def _by_seq(self, descending: bool) -> str:
        """A narrow driver's rows are sorted; otherwise the type's rows are walked by seq, within the bounds."""
        after = ""
        if self.query.after is not None:
            after = f" AND n.seq {self._beyond(descending)} {self._statement.bind(self.query.after[0])}"
        if self.driver.rank == SELECTIVE:
            rows = self._rows(self.driver, "n.seq", bounds=after)
        else:
            number = self._statement.bind(TYPE_NUMBERS[self.query.resource_type])
            live = f"n.type = {number} AND {self._of_the_type(UNDATED)}"
            probes = self._probes(self.query.predicates, UNDATED)
            rows = f"SELECT n.seq FROM version n WHERE {live}{after}{probes}{self._visible()}"
        return f"{rows} ORDER BY n.seq {self._way(descending)} LIMIT {self.query.count + 1}"

    # -- by any values ---------------------------------------------------------------------------------------

    def _by_values(self) -> str:
        """Sorts all matches by the value earliest in the order asked for (R4 search.html#sort); none comes last."""
        rows = self._rows(self.driver, "n.seq AS seq")
        keys = ", ".join(f"{self._sort_value(key)} AS s{n}" for n, key in enumerate(self.order))
        where = self._after_values("o")
        found = f"SELECT * FROM (SELECT f.seq AS seq, {keys} FROM ({rows}) f) o{where}"
        return f"{found} ORDER BY {self._value_order('o')} LIMIT {self.query.count + 1}"

    def _sort_value(self, key: q.SortKey) -> str:
        pick = "max" if key.descending else "min"
        match key.kind:
            case "last_updated":
                # What is written at once has the same time: the keys that follow decide.
                own = "(SELECT s.last_updated FROM version s WHERE s.seq = f.seq)"
                return "f.seq" if key is self.order[-1] else own
            case "id":
                return "(SELECT s.id FROM version s WHERE s.seq = f.seq)"
            case "primary_date":
                p = self._statement.bind(listing_parameter(self.query.resource_type))
                rows = self._statement.version_rows("number", "s", "f.seq")
                return f"(SELECT nullif(s.k, {NO_DATE}) {rows} AND s.p = {p})"
            case "number" | "text":
                wanted = self._statement.one_of("s.p", key.ps, "int")
                rows = self._statement.version_rows(key.kind, "s", "f.seq")
                return f"(SELECT {pick}(s.v) {rows} AND {wanted})"
            case "token" | "reference":
                return self._looked_up_sort_value(key, pick)
        raise TypeError(f"unknown sort kind {key.kind}")

    def _looked_up_sort_value(self, key: q.SortKey, pick: str) -> str:
        """A code, or Type/id of a resource referred to: what the hash in the row stands for."""
        wanted = self._statement.one_of("s.p", key.ps, "int")
        if key.kind == "token":
            rows = self._statement.version_rows("number", "s", "f.seq", "token t ON t.v = s.v")
            return f"(SELECT {pick}(t.code) {rows} AND {wanted})"
        rows = self._statement.version_rows("number", "s", "f.seq", "version t ON t.rid = s.v AND t.version = 1")
        return f"(SELECT {pick}(t.id) {rows} AND {wanted})"

    def _value_order(self, row: str) -> str:
        absent = self._way(False)
        keys = [
            f"({row}.s{n} IS NULL) {absent}, {row}.s{n} {self._way(key.descending)}" for n, key in enumerate(self.order)
        ]
        return ", ".join([*keys, f"{row}.seq {self._way(True)}"])

    def _after_values(self, row: str) -> str:
        if self.query.after is None:
            return ""
        *values, seq = self.query.after
        later = f"{row}.seq {self._beyond(True)} {self._statement.bind(seq)}"
        for n in reversed(range(len(self.order))):
            column, value = f"{row}.s{n}", values[n]
            if value is None:
                others = f"{column} IS NOT NULL OR " if self.query.backward else ""
                later = f"({others}({column} IS NULL AND {later}))"
                continue
            marker = self._statement.bind(value)
            others = "" if self.query.backward else f"{column} IS NULL OR "
            beyond = self._beyond(self.order[n].descending)
            later = f"({column} {beyond} {marker} OR {others}({column} = {marker} AND {later}))"
        return f" WHERE {later}"

    # -- direction -------------------------------------------------------------------------------------------

    def _way(self, descending: bool) -> str:
        """A page before its `after` is read in the opposite order."""
        return "DESC" if descending != self.query.backward else "ASC"

    def _beyond(self, descending: bool) -> str:
        return "<" if descending != self.query.backward else ">"


def page_of(rows: str, columns: Iterable[str], ordering: str, *, bodies: bool = True) -> str:
    """The versions that `rows` select, each with the clock's seq and its `columns`."""
    values = "".join(f", q.{column}" for column in columns)
    version = VERSION_COLUMNS if bodies else WITHOUT_BODY
    return (
        f"SELECT {version}, (SELECT c.seq FROM clock c){values} FROM ({rows}) q"
        f" JOIN version ver ON ver.seq = q.seq ORDER BY {ordering}"
    )
