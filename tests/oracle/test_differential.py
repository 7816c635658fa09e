"""Random searches of random resources: the oracle, SQLite and PostgreSQL find the same (R4 search.html)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from fhir_server.search.definitions import definitions
from fhir_server.search.modifiers import modifiers as offered
from tests.oracle.engines import Filled, filled
from tests.oracle.population import TYPES
from tests.oracle.queries import Declared, Pairs, Searches
from tests.oracle.ranges import Refused

NOT_YET = ("missing",)
"""Modifiers not compared yet: values that make no row other than for :missing (a reference with a display only)."""


def modifiers(resource_type: str, code: str) -> tuple[str, ...]:
    """The modifiers that the server offers for a parameter: what they find is the oracle's to say."""
    found = definitions(resource_type).get(code)
    return tuple(one for one in offered(found) if one not in NOT_YET) if found else ()


async def declared_parameters(one: Filled) -> Declared:
    statement = (await one.client.get("metadata")).resource
    return {
        resource["type"]: [parameter["name"] for parameter in resource.get("searchParam", [])]
        for resource in statement["rest"][0]["resource"]
    }


@pytest.mark.parametrize(
    ("seed", "size", "searches"),
    [(1, 8, 250), *[pytest.param(seed, 15, 1500, marks=pytest.mark.torture) for seed in range(2, 6)]],
)
async def test_the_oracle_sqlite_and_postgresql_find_the_same(
    seed: int, size: int, searches: int, new_database: Callable[[str], str]
) -> None:
    engines = [await filled(engine, new_database(engine), seed, size) for engine in ("sqlite", "postgresql")]
    try:
        maker = Searches(Random(seed), engines[0].world, await declared_parameters(engines[0]), modifiers)
        wrong = []
        hits = costly = 0
        for _ in range(searches):
            resource_type = maker.random.choice(TYPES)
            pairs = maker.search(resource_type)
            for one in engines:
                expected = expectation(one, resource_type, pairs)
                found = await answered(one, resource_type, pairs)
                hits += bool(expected) and expected != {"refused"}
                if found == {"too-costly"}:
                    costly += 1
                elif found != expected:
                    wrong.append((one.engine, resource_type, pairs, f"{found - expected=}", f"{expected - found=}"))
        assert not wrong, f"{len(wrong)} disagreements:\n" + "\n".join(map(str, wrong))
        assert hits > searches // 2
        assert costly < searches // 20
    finally:
        for one in engines:
            await one.store.close()


def expectation(one: Filled, resource_type: str, pairs: Pairs) -> set[str]:
    try:
        return one.world.search(resource_type, pairs)
    except Refused:
        return {"refused"}


async def answered(one: Filled, resource_type: str, pairs: Pairs) -> set[str]:
    answer = await one.client.send("GET", resource_type, query=[*pairs, ("_count", "1000")])
    if answer.status == 400:
        assert answer.issue["diagnostics"]
        return {"too-costly" if answer.issue["code"] == "too-costly" else "refused"}
    assert answer.status == 200, (resource_type, pairs, answer.body)
    assert answer.link("next") is None
    ids = [entry["resource"]["id"] for entry in answer.entries if entry["search"]["mode"] == "match"]
    assert len(ids) == len(set(ids))
    return set(ids)
