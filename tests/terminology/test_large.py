"""A code system of 10,000 concepts on nine levels, on both engines (R4 search.html#token: above, below, in)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fhir_server.terminology.reader import StoreReader
from fhir_server.terminology.service import Terminology
from tests.terminology.conftest import Put
from tests.terminology.content import (
    TREE_SIZE,
    S,
    V,
    code_system,
    concept,
    filtered,
    rule,
    tree,
    tree_above,
    tree_below,
    tree_code,
    value_set,
)


async def test_below_and_above_in_10_000_concepts(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    await put(tree())
    for top in (0, 1, 4, 1000, 9999):
        found = await terminology.below(S, tree_code(top), reader)
        assert set(found) == {(S, code) for code in tree_below(top)}
        found = await terminology.above(S, tree_code(top), reader)
        assert set(found) == {(S, code) for code in tree_above(top)}
    assert len(await terminology.below(S, tree_code(0), reader)) == TREE_SIZE
    assert set(await terminology.below(None, tree_code(1000), reader)) == {(S, code) for code in tree_below(1000)}


@pytest.mark.parametrize(
    ("includes", "expected"),
    [
        ([{"system": S}], tree_below(0)),
        ([filtered(rule("is-a", tree_code(1)))], tree_below(1)),
        ([filtered(rule("descendent-of", tree_code(1)))], tree_below(1) - {tree_code(1)}),
        ([filtered(rule("is-not-a", tree_code(1)))], tree_below(0) - tree_below(1)),
        ([filtered(rule("generalizes", tree_code(9999)))], tree_above(9999)),
        ([filtered(rule("is-a", tree_code(1))), filtered(rule("is-a", tree_code(3)))], tree_below(1) | tree_below(3)),
        ([filtered(rule("is-a", tree_code(1)), rule("is-not-a", tree_code(4)))], tree_below(1) - tree_below(4)),
        ([filtered(rule("=", tree_code(2), "parent"))], {tree_code(7), tree_code(8), tree_code(9)}),
    ],
)
async def test_expansion_of_filters_over_10_000_concepts(
    put: Put, terminology: Terminology, reader: StoreReader, includes: list[dict[str, Any]], expected: set[str]
) -> None:
    """R4 valueset-filter-operator.html; valueset.html#compositions: includes add up, filters all hold."""
    await put(tree(), value_set(*includes))
    assert {code for _, code in await terminology.expand(V, reader)} == expected


async def test_a_deep_chain_is_followed_to_its_end(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    """By the property parent: 10,000 levels, as deep as there are concepts."""
    await put(code_system(concept("p0"), *[concept(f"p{n}", parent=f"p{n - 1}") for n in range(1, TREE_SIZE)]))
    assert len(await terminology.below(S, "p0", reader)) == TREE_SIZE
    assert len(await terminology.above(S, "p9999", reader)) == TREE_SIZE


async def test_the_event_loop_goes_on_while_a_large_code_system_is_read(
    put: Put, terminology: Terminology, reader: StoreReader
) -> None:
    await put(tree())
    turns = 0
    done = False

    async def others() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await terminology.below(S, tree_code(0), reader)
    done = True
    await beside
    assert turns > 20
