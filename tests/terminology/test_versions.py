"""Which of several stored versions is meant, and that none is out of date (R4 references.html#canonical)."""

from __future__ import annotations

import itertools

import pytest

from fhir_server.errors import BusinessRule
from fhir_server.storage.base import Store, Transaction
from fhir_server.storage.scope import ALL
from fhir_server.terminology.canonical import Head, choose, version_key
from fhir_server.terminology.reader import StoreReader, TransactionReader
from fhir_server.terminology.refusal import Unanswerable
from fhir_server.terminology.service import Terminology
from tests.terminology.conftest import Put
from tests.terminology.content import S, V, code_system, concept, drafts, listing, value_set


def test_business_versions_in_their_order() -> None:
    """Semantic versions, dates, years and SNOMED CT's URIs: each list ascends."""
    for ascending in (
        ["", "1", "1.0", "1.0.1", "1.9", "1.10", "2.0.0-alpha", "2.0.0-beta", "2.0.0", "10.0"],
        ["2019", "2019-11", "2019-11-01", "2020"],
        [f"http://snomed.info/sct/32506021000036107/version/{date}" for date in (20190101, 20260701)],
        ["1", "9" * 5000, "1" + "0" * 5000],
    ):
        for earlier, later in itertools.pairwise(ascending):
            assert version_key(earlier) < version_key(later), (earlier, later)


def test_the_choice_without_a_version() -> None:
    """Status, then version, then date, then what was stored last (docs/terminology.md)."""
    heads = [
        Head(S, "9", "retired", "2026", 9),
        Head(S, "3", "draft", "2026", 8),
        Head(S, "2", "active", "2020", 1),
        Head(S, "2", "active", "2021", 2),
        Head(S, "2", "active", "2021", 3),
        Head(S, "1", "active", "2026", 7),
        Head("http://example.org/else", "5", "active", "2026", 6),
    ]
    assert choose(heads, S, "") == heads[4]
    assert choose(heads[:2], S, "") == heads[1]
    assert choose(heads, S, "9") == heads[0]
    assert choose(heads, S, "4") is None
    assert choose(heads, S, "", locked="2020-06-01") == heads[2]
    assert choose(heads, S, "1", locked="2020-06-01") == heads[5]


async def test_a_version_is_that_version(put: Put, terminology: Terminology, reader: StoreReader) -> None:
    await put(
        code_system(concept("old"), id="one", version="1", date="2020"),
        code_system(concept("new"), id="two", version="2", date="2025"),
        value_set({"system": S, "version": "1"}, id="v1", version="1"),
        value_set({"system": S}, id="v2", version="2"),
        value_set({"system": S}, id="locked", url="http://example.org/locked", lockedDate="2021-05-05"),
        value_set({"valueSet": ["http://example.org/inner"]}, id="outer", url="http://example.org/outer",
                  lockedDate="2021-05-05"),
        value_set({"system": S}, id="inner", url="http://example.org/inner"),
    )  # fmt: skip
    expected = {f"{V}|1": "old", f"{V}|2": "new", V: "new"}
    # compose.lockedDate: "Fixed date for version-less references (transitive)"
    expected |= {"http://example.org/locked": "old", "http://example.org/outer": "old"}
    for name, code in expected.items():
        assert set(await terminology.expand(name, reader)) == {(S, code)}, name


async def test_an_answer_is_never_of_an_older_version(
    put: Put, terminology: Terminology, reader: StoreReader, store: Store
) -> None:
    await put(code_system(concept("a", concept("b"))), value_set({"system": S}))
    for _ in range(2):
        assert set(await terminology.expand(V, reader)) == {(S, "a"), (S, "b")}
        assert set(await terminology.below(S, "a", reader)) == {(S, "a"), (S, "b")}
    await put(code_system(concept("a", concept("c"))))
    assert set(await terminology.expand(V, reader)) == {(S, "a"), (S, "c")}
    assert set(await terminology.below(S, "a", reader)) == {(S, "a"), (S, "c")}
    await put(code_system(concept("d"), id="newer", version="2"))
    assert set(await terminology.expand(V, reader)) == {(S, "d")}
    await store.write(ALL, lambda transaction: transaction.delete("CodeSystem", "newer"))
    assert set(await terminology.expand(V, reader)) == {(S, "a"), (S, "c")}
    await store.write(ALL, lambda transaction: transaction.delete("ValueSet", "vs"))
    with pytest.raises(Unanswerable, match="is not stored"):
        await terminology.expand(V, reader)


async def test_a_transaction_sees_what_it_wrote_and_leaves_nothing_when_undone(
    put: Put, terminology: Terminology, reader: StoreReader, store: Store
) -> None:
    """What a failed transaction wrote never was: the version it had may get another content."""

    async def fails(transaction: Transaction) -> None:
        for draft in drafts([code_system(concept("undone"))]):
            await transaction.put(draft)
        found = await terminology.expand(V, TransactionReader(transaction))
        assert set(found) == {(S, "undone")}
        assert set(await terminology.below(None, "undone", TransactionReader(transaction))) == {(S, "undone")}
        raise BusinessRule("undo")

    await put(value_set({"system": S}))
    with pytest.raises(BusinessRule):
        await store.write(ALL, fails)
    await put(code_system(concept("kept")))
    assert set(await terminology.expand(V, reader)) == {(S, "kept")}
    assert set(await terminology.below(None, "kept", reader)) == {(S, "kept")}


async def test_what_is_kept_is_bounded(put: Put, reader: StoreReader) -> None:
    """A process with little room answers the same, from the store."""
    small = Terminology(kept_concepts=50)
    await put(
        *[
            code_system(*[concept(f"{n}-{m}") for m in range(30)], id=f"s{n}", url=f"http://example.org/s{n}")
            for n in range(5)
        ],
        value_set(*[{"system": f"http://example.org/s{n}"} for n in range(5)], listing("a")),
    )
    for _ in range(2):
        assert len(await small.expand(V, reader)) == 151
        assert len(await small.below("http://example.org/s3", "3-7", reader)) == 1
        assert 0 < small._cache.weight <= 50
