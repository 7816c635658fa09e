"""Random searches of random resources: the oracle, SQLite and PostgreSQL find the same (R4 search.html)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from urllib.parse import parse_qsl

import pytest

from fhir_server.search.definitions import definitions
from fhir_server.search.modifiers import modifiers as offered
from tests.oracle.engines import Filled, filled
from tests.oracle.expressions import Json
from tests.oracle.order import out_of_order
from tests.oracle.population import TYPES
from tests.oracle.queries import Declared, Pairs, Searches
from tests.oracle.ranges import Refused


def modifiers(resource_type: str, code: str) -> tuple[str, ...]:
    """The modifiers that the server offers for a parameter: what they find is the oracle's to say."""
    found = definitions(resource_type).get(code)
    return offered(found) if found else ()


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
        wrong: list[str] = []
        hits = costly = 0
        for _ in range(searches):
            resource_type = maker.random.choice(TYPES)
            pairs = maker.search(resource_type)
            sort = maker.sort(resource_type)
            for one in engines:
                expected = expectation(one, resource_type, pairs)
                hits += bool(expected)
                found = await answered(one, resource_type, pairs, sort)
                if found == "too-costly":
                    costly += 1
                else:
                    wrong += [
                        f"{one.engine} {resource_type} {pairs} {why}" for why in compared(one, expected, found, sort)
                    ]
        assert not wrong, f"{len(wrong)} disagreements:\n" + "\n".join(wrong)
        assert hits > searches // 2
        assert costly < searches // 20
    finally:
        for one in engines:
            await one.store.close()


def expectation(one: Filled, resource_type: str, pairs: Pairs) -> set[str] | None:
    """The ids that match; None when the search is to be refused."""
    try:
        return one.world.search(resource_type, pairs)
    except Refused:
        return None


async def answered(one: Filled, resource_type: str, pairs: Pairs, sort: str) -> list[Json] | str | None:
    """The matches in their order, or why there are none: too-costly, or None for any other 400."""
    answer = await one.client.send("GET", resource_type, query=[*pairs, ("_count", "1000"), ("_sort", sort)])
    if answer.status == 400:
        assert answer.issue["diagnostics"]
        return "too-costly" if answer.issue["code"] == "too-costly" else None
    assert answer.status == 200, (resource_type, pairs, answer.body)
    assert answer.link("next") is None
    assert ("_sort", sort) in parse_qsl((answer.link("self") or "").partition("?")[2])
    found = [entry["resource"]["id"] for entry in answer.entries if entry["search"]["mode"] == "match"]
    return [one.world.by_type[resource_type][logical_id] for logical_id in found]


def compared(one: Filled, expected: set[str] | None, found: list[Json] | str | None, sort: str) -> list[str]:
    """What is wrong with the answer."""
    if expected is None or not isinstance(found, list):
        return [] if expected is found else [f"{expected=} {found=}"]
    ids = [each["id"] for each in found]
    wrong = (
        [] if sorted(ids) == sorted(expected) else [f"too many: {set(ids) - expected} missing: {expected - set(ids)}"]
    )
    return wrong + [f"_sort={sort} {pair}" for pair in out_of_order(one.world, found, sort)]
