"""A statement beyond what a database takes is refused as too costly: neither a failure nor the others' refusal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fhir_server.errors import FhirError
from fhir_server.storage import query as q
from fhir_server.storage.base import Store, Transaction
from fhir_server.storage.scope import ALL
from tests.storage.derived import observation

COLUMNS = q.Query("Observation", sort=(q.SortKey("id"),) * 2500)
"""SQLite takes 2,000 columns of a result, PostgreSQL 1,664."""

STATEMENTS = {
    "sqlite": {
        "depth": "SELECT 1 WHERE " + " OR ".join(["1 = 1"] * 2_000),
        "variables": f"SELECT 1 WHERE 1 IN ({', '.join('?' * 300_000)})",
        "columns": f"SELECT {', '.join('1' * 2_500)}",
        "order": f"SELECT 1 AS a ORDER BY {', '.join('a' * 2_500)}",
        "nesting": f"SELECT {'(' * 500}1{')' * 500}",
        "text": "SELECT replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000000)))",
    },
    "postgresql": {
        "columns": f"SELECT {', '.join('1' * 2_500)}",
        "depth": "SELECT " + " + ".join(["1"] * 50_000),
        "arguments": f"SELECT 1 WHERE 1 IN ({', '.join(f'${n}' for n in range(1, 32_769))})",
    },
}
CASES = [(engine, name) for engine, statements in STATEMENTS.items() for name in statements]


@pytest.mark.parametrize(("engine", "name"), CASES)
async def test_a_statement_over_the_limits_is_a_400(store: Any, name: str, engine: str) -> None:
    sql = STATEMENTS[engine][name]
    arguments = [1] * (32_768 if name == "arguments" else sql.count("?"))
    with pytest.raises(FhirError) as refusal:
        await store.session.fetch(sql, arguments)
    assert (refusal.value.status, refusal.value.issues[0].code) == (400, "too-costly")
    assert await store.session.fetch("SELECT 1", ())


async def test_it_is_the_refusal_of_the_work_that_made_it_alone(store: Store) -> None:
    async def costly(transaction: Transaction) -> None:
        await transaction.search(COLUMNS)

    def put(n: int) -> Any:
        return store.write(ALL, lambda transaction: transaction.put(observation(f"o{n}", n)))

    first, refused, last = await asyncio.gather(put(1), store.write(ALL, costly), put(2), return_exceptions=True)
    assert isinstance(refused, FhirError)
    assert (refused.status, refused.issues[0].code) == (400, "too-costly")
    assert [first.logical_id, last.logical_id] == ["o1", "o2"]
    assert len((await store.search(ALL, q.Query("Observation"))).matches) == 2
