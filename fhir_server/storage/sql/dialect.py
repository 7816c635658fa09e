"""What differs in the SQL text of the two engines: markers, lists and how a sub-query is kept one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from fhir_server.model.json import encode

LONG_LIST = 32
"""Longer lists go to SQLite as one JSON array: a statement of thousands of markers takes seconds to prepare."""

TAKES_TOO_LONG = "This search takes too long: narrow it, for example by patient, code or date."
WAITED_TOO_LONG = "Too many long searches are running; try again."
TOO_LONG = "The request makes a statement too long for the database: use fewer parameters, values and sort keys."

_MARKER = re.compile(r"\?(\d+)")


class Statement:
    """SQL text under construction: parameters are numbered, so that parts may be built in any order."""

    __slots__ = ("_aliases", "parameters", "postgresql", "snapshot")

    def __init__(self, postgresql: bool, snapshot: int | None = None) -> None:
        self.postgresql = postgresql
        self.snapshot = snapshot
        """The seq the statement sees; None: now."""
        self.parameters: list[Any] = []
        self._aliases = 0

    def alias(self, letter: str) -> str:
        """A name for a row of a sub-query that no other row of the statement has."""
        self._aliases += 1
        return f"{letter}{self._aliases}"

    def bind(self, value: Any) -> str:
        self.parameters.append(value)
        return f"{'$' if self.postgresql else '?'}{len(self.parameters)}"

    def finished(self, sql: str) -> tuple[str, list[Any]]:
        """The whole statement and its parameters. SQLite, which looks numbered markers up one by one, gets plain ones
        with the parameters in the order of the text: preparing stays linear."""
        if self.postgresql:
            return sql, self.parameters
        order = [int(number) - 1 for number in _MARKER.findall(sql)]
        return _MARKER.sub("?", sql), [self.parameters[n] for n in order]

    def one_of(self, column: str, values: Iterable[Any], pg_type: str = "bigint") -> str:
        """`column` equals one of `values`; on PostgreSQL one array parameter, so that the text stays the same."""
        values = list(values)
        if len(values) == 1:
            return f"{column} = {self.bind(values[0])}"
        if self.postgresql:
            return f"{column} = ANY({self.bind(values)}::{pg_type}[])"
        if len(values) > LONG_LIST:
            return f"{column} IN (SELECT e.value FROM json_each({self.bind(encode(values).decode())}) e)"
        return f"{column} IN ({', '.join(self.bind(value) for value in values)})"

    def exists(self, inner: str) -> str:
        """EXISTS that the planner leaves a per-row probe: as a join it flips to bad generic plans on PostgreSQL."""
        return f"EXISTS ({inner} OFFSET 0)" if self.postgresql else f"EXISTS ({inner})"

    def visible(self, row: str) -> str:
        """The version of `row` was there, and not yet replaced, at the snapshot."""
        gone = f"SELECT 1 FROM superseded x WHERE x.seq = {row}.seq"
        if self.snapshot is None:
            return f"NOT {self.exists(gone)}"
        gone += f" AND x.next_seq <= {self.bind(self.snapshot)}"
        # SQLite would look a joined row up by this bound rather than by its own seq (+ forbids it that index).
        seq = f"{row}.seq" if self.postgresql else f"+{row}.seq"
        return f"{seq} <= {self.bind(self.snapshot)} AND NOT {self.exists(gone)}"

    def contains(self, column: str, text: str) -> str:
        """`column` has `text` in it."""
        return f"{'strpos' if self.postgresql else 'instr'}({column}, {self.bind(text)}) > 0"

    def ends_with(self, column: str, text: str) -> str:
        """The last characters of `column` are `text`."""
        if self.postgresql:
            return f"right({column}, {len(text)}) = {self.bind(text)}"
        return f"substr({column}, -{len(text)}) = {self.bind(text)}"

    def version_rows(self, table: str, row: str, seq: str, join: str = "") -> str:
        """FROM and WHERE, to be followed by AND ..., of the index rows `row` of one version.

        On PostgreSQL they are fetched by seq whatever the conditions that follow: it would prefer the search
        index for its p and v, and walk a whole code to find one version. `join`: `table alias ON condition`, looked
        up from those rows and never the other way round.
        """
        if self.postgresql:
            joined = f" JOIN {join}" if join else ""
            return f"FROM (SELECT * FROM {table} r WHERE r.seq = {seq} OFFSET 0) {row}{joined} WHERE TRUE"
        joined = f" CROSS JOIN {join}" if join else ""
        return f"FROM {table} {row}{joined} WHERE {row}.seq = {seq}"

    def versions_of(self, seq: str, rids: Sequence[int]) -> str:
        """`seq` is a version of one of the resources, which are looked up first."""
        versions = self.versions(rids)
        return f"{seq} = ANY(ARRAY({versions}))" if self.postgresql else f"{seq} IN ({versions})"

    def versions(self, rids: Sequence[int]) -> str:
        """SELECT of the seqs of the versions of the resources.

        On PostgreSQL one by one: it would scan `version` for a list as long as it has no statistics.
        """
        if not self.postgresql:
            return f"SELECT i.seq FROM version i WHERE {self.one_of('i.rid', rids)}"
        each = "SELECT v.seq FROM version v WHERE v.rid = w.rid OFFSET 0"
        wanted = f"unnest({self.bind(list(rids))}::bigint[]) w (rid)"
        return f"SELECT i.seq FROM {wanted} CROSS JOIN LATERAL ({each}) i"


class Session(Protocol):
    """Where statements run: a connection that reads, or the writer's inside its transaction."""

    postgresql: bool

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """All rows. Raises `TooCostly` over the time budget, `Overloaded` when the database is away."""
        ...


@lru_cache(maxsize=256)
def positional(sql: str, postgresql: bool) -> str:
    """A fixed statement written with `?` markers in the engine's own style."""
    if not postgresql:
        return sql
    parts = sql.split("?")
    return "".join(f"{part}${n}" for n, part in enumerate(parts[:-1], start=1)) + parts[-1]
