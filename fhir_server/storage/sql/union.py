"""One page of several queries, of a type each, as one SQL statement: each gives its first rows, the best are taken."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.storage.sql.dialect import Statement
from fhir_server.storage.sql.plan import Plan, page_of


class UnionPlan:
    """Of plans with the same order, count and snapshot, which is not that of the primary date alone."""

    def __init__(self, plans: Sequence[Plan], postgresql: bool) -> None:
        self._plans = plans
        self._postgresql = postgresql

    def page(self) -> tuple[str, list[object]]:
        """As `Plan.page`."""
        query = self._plans[0].query
        statement = Statement(self._postgresql, query.snapshot)
        parts = [plan.in_order(statement) for plan in self._plans]
        columns, _, ordering = parts[0]
        names = ", ".join(columns)
        rows = " UNION ALL ".join(f"SELECT {names} FROM ({part}) b{n}" for n, (_, part, _) in enumerate(parts))
        if len(parts) > 1:
            rows = f"SELECT * FROM ({rows}) q ORDER BY {ordering} LIMIT {query.count + 1}"
        return statement.finished(page_of(rows, columns, ordering, bodies=query.bodies))
