"""A Scope: every call sees, counts and changes only what its predicates permit; what is hidden is as if absent.

Whether a resource is permitted is asked of its newest version (storage/sql/reads.permitted), so that old
versions follow the resource, and a deleted one, whose index says nothing any more, is hidden.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import product

import pytest

from fhir_server.errors import Forbidden, ResourceNotFound
from fhir_server.model.identity import rid, token
from fhir_server.storage import query as q
from fhir_server.storage.base import Draft, PurgeCounts, Store, Transaction
from fhir_server.storage.rows import IndexRows
from fhir_server.storage.scope import ALL, Scope
from tests.storage.drafts import CODE, DATE, DAY, STATUS, SUBJECT, draft, observation


def of_patient(logical_id: str) -> Scope:
    return Scope(logical_id, (q.InCompartment((rid("Patient", logical_id),)),))


P1, P2 = of_patient("p1"), of_patient("p2")


async def put(store: Store, *drafts: Draft, scope: Scope = ALL) -> None:
    async def work(transaction: Transaction) -> None:
        for one in drafts:
            await transaction.put(one)

    await store.write(scope, work)


async def fill(store: Store) -> None:
    """Of p1: mine (two versions), gone (deleted). Of p2: theirs, and moved, whose first version was p1's."""
    await put(store, observation("mine", value=1), observation("gone"), observation("moved"))
    await put(store, observation("mine", value=2, day=1))
    await put(store, observation("moved", patient="p2"), observation("theirs", patient="p2", day=2))
    await store.write(ALL, lambda transaction: transaction.delete("Observation", "gone"))


async def found(store: Store | Transaction, scope: Scope | None, query: q.Query) -> list[str]:
    """The ids of a search, in a store under `scope` or in a transaction (None)."""
    page = await (store.search(query) if scope is None else store.search(scope, query))  # type: ignore[union-attr]
    return [match.logical_id for match in page.matches]


async def test_a_read_sees_what_is_permitted(store: Store) -> None:
    await fill(store)
    for scope, visible in ((P1, {"mine"}), (P2, {"theirs", "moved"})):
        for logical_id in ("mine", "theirs", "moved", "gone", "never"):
            read = await store.read(scope, "Observation", logical_id)
            assert (read is not None) == (logical_id in visible)
    mine = await store.read(P1, "Observation", "mine")
    assert mine is not None
    assert mine.version_id == 2


async def test_an_old_version_is_seen_with_its_resource(store: Store) -> None:
    """Also once its own index rows are gone."""
    await fill(store)
    for _ in range(2):
        assert await store.vread(P1, "Observation", "mine", 1) is not None
        assert await store.vread(P2, "Observation", "mine", 1) is None
        assert await store.vread(P1, "Observation", "moved", 1) is None
        assert await store.vread(P2, "Observation", "moved", 1) is not None
        assert await store.vread(P1, "Observation", "gone", 1) is None
        await store.vacuum(-1)


async def test_a_search_finds_and_counts_what_is_permitted(store: Store) -> None:
    """Whatever it asks for, and in whatever order: every one of these matches all there is."""
    await fill(store)
    searches: list[tuple[q.Predicate, ...]] = [
        (),
        (q.NumberIn(CODE, (token("http://loinc.org", "a"),)),),
        (q.TokenCode(CODE, ("a",)),),
        (q.NumberIn(SUBJECT, (rid("Patient", "p2"), rid("Patient", "p1"))),),
        (q.Not(q.NumberIn(SUBJECT, (rid("Patient", "p3"),))),),
        (q.Or((q.TokenCode(CODE, ("a",)), q.NumberIn(SUBJECT, (rid("Patient", "p1"),)))),),
        (q.IdIn((rid("Observation", "mine"), rid("Observation", "theirs"), rid("Observation", "moved"))),),
        (q.InCompartment((rid("Patient", "p1"), rid("Patient", "p2"))),),
        (q.PeriodRange(DATE, end_low=0, primary=True),),
        (q.LastUpdatedRange(low=1),),
    ]
    sorts: list[tuple[q.SortKey, ...]] = [(), (q.SortKey("last_updated"),), (q.SortKey("id"),)]
    for predicates, sort in product(searches, sorts):
        for scope, visible in ((P1, ["mine"]), (P2, ["moved", "theirs"]), (of_patient("p3"), [])):
            query = q.Query("Observation", predicates, sort=sort, total=True)
            assert sorted(await found(store, scope, query)) == visible
            for count in (0, 20):
                assert (await store.search(scope, replace(query, count=count))).total == len(visible)


async def test_the_pages_of_a_search_stay_in_the_scope(store: Store) -> None:
    await put(store, *(observation(f"o{n}", patient=f"p{n % 2 + 1}", day=n) for n in range(10)))
    query, ids = q.Query("Observation", count=2), []
    while True:
        page = await store.search(P1, query)
        ids += [match.logical_id for match in page.matches]
        if page.next_after is None:
            break
        query = replace(query, snapshot=page.snapshot, after=page.next_after)
    assert ids == ["o8", "o6", "o4", "o2", "o0"]


async def test_the_predicates_of_a_scope_all_hold(store: Store) -> None:
    await put(store, observation("final"), observation("draft", status="preliminary"), observation("of", patient="p2"))
    scope = Scope("p1", (*P1.predicates, q.NumberIn(STATUS, (token("", "final"),))))
    assert await found(store, scope, q.Query("Observation")) == ["final"]
    assert await store.read(scope, "Observation", "draft") is None
    page = await store.history(scope, q.HistoryQuery())
    assert [version.logical_id for version in page.versions] == ["final"]
    assert await store.counts(scope) == {"Observation": 1}


async def test_a_history_shows_what_is_permitted(store: Store) -> None:
    await fill(store)
    for level in ((None, None), ("Observation", None), ("Observation", "mine")):
        await check_history(store, level)


async def check_history(store: Store, level: tuple[str | None, str | None]) -> None:
    query = q.HistoryQuery(*level)
    page = await store.history(P1, query)
    assert [(version.logical_id, version.version_id) for version in page.versions] == [("mine", 2), ("mine", 1)]
    assert page.total == 2
    first = await store.history(P1, replace(query, count=1))
    rest = await store.history(P1, replace(query, count=1, snapshot=first.snapshot, before=first.next_before))
    assert [version.version_id for version in first.versions + rest.versions] == [2, 1]
    others = await store.history(P2, query)
    expected = [] if level[1] else [("theirs", 1), ("moved", 2), ("moved", 1)]
    assert [(version.logical_id, version.version_id) for version in others.versions] == expected
    assert others.total == len(expected)
    assert (await store.history(P2, replace(query, count=0))).total == len(expected)


async def test_counters_count_what_is_permitted(store: Store) -> None:
    await fill(store)
    await put(store, draft({"resourceType": "Patient", "id": "p2"}, IndexRows(compartments=[rid("Patient", "p2")])))
    assert await store.counts(ALL) == {"Observation": 3, "Patient": 1}
    assert await store.counts(P1) == {"Observation": 1, "Patient": 0}
    assert await store.counts(P2) == {"Observation": 2, "Patient": 1}


async def test_a_blob_is_read_by_whom_its_resource_is(store: Store) -> None:
    one = draft({"resourceType": "Binary", "id": "b", "data": ""}, IndexRows(compartments=[rid("Patient", "p1")]))
    one.blob_content, one.blob_offset = [b"abc"], one.tail.index(b'"data":""') + 8
    await put(store, one)
    binary = await store.read(P1, "Binary", "b")
    assert binary is not None
    assert [chunk async for chunk in store.read_blob(P1, binary)] == [b"abc"]
    with pytest.raises(ResourceNotFound):
        assert [chunk async for chunk in store.read_blob(P2, binary)]


async def test_a_transaction_reads_what_is_permitted_and_its_own_writes(store: Store) -> None:
    await fill(store)

    async def work(transaction: Transaction) -> None:
        keys = [("Observation", name) for name in ("mine", "theirs", "moved", "gone", "new")]
        assert set(await transaction.versions(keys)) == {("Observation", "mine")}
        await transaction.put(observation("new", day=3))
        assert set(await transaction.versions(keys)) == {("Observation", "mine"), ("Observation", "new")}
        assert await transaction.current("Observation", "new") is not None
        assert await transaction.current("Observation", "theirs") is None
        assert await transaction.vread("Observation", "theirs", 1) is None
        assert await transaction.vread("Observation", "mine", 1) is not None
        history = await transaction.history(q.HistoryQuery())
        assert [version.logical_id for version in history.versions] == ["new", "mine", "mine"]
        assert await found(transaction, None, q.Query("Observation")) == ["new", "mine"]

    await store.write(P1, work)


async def test_a_write_outside_the_scope_is_refused_whole(store: Store) -> None:
    await fill(store)
    before = await store.history(ALL, q.HistoryQuery())
    for written in (
        observation("theirs"),  # is p2's, would become p1's
        observation("mine", patient="p2"),  # is p1's, would become p2's
        observation("new", patient="p2"),
    ):
        with pytest.raises(Forbidden):
            await put(store, observation("other"), written, scope=P1)
        assert await store.history(ALL, q.HistoryQuery()) == before
        assert await store.counts(ALL) == {"Observation": 3}


async def test_what_is_hidden_cannot_be_deleted_or_purged(store: Store) -> None:
    await fill(store)
    assert await store.write(P1, lambda transaction: transaction.delete("Observation", "theirs")) is None
    purged = await store.write(P1, lambda transaction: transaction.purge("Observation", "theirs"))
    assert purged == PurgeCounts()
    theirs = await store.read(ALL, "Observation", "theirs")
    assert theirs is not None
    assert (theirs.version_id, theirs.method) == (1, "create")
    deleted = await store.write(P1, lambda transaction: transaction.delete("Observation", "mine"))
    assert deleted is not None
    assert deleted.version_id == 3
    assert await store.counts(ALL) == {"Observation": 2}


async def test_works_of_one_group_keep_their_own_scopes(store: Store) -> None:
    await fill(store)

    async def seen(transaction: Transaction) -> list[str]:
        current = [await transaction.current("Observation", name) for name in ("mine", "theirs")]
        return [version.logical_id for version in current if version]

    sizes: list[int] = []
    store.writer.group_sizes = sizes.append  # type: ignore[attr-defined]
    await asyncio.gather(*(store.write(scope, seen) for scope in (P1, P2, ALL, P1)))
    answers = await asyncio.gather(*(store.write(scope, seen) for scope in (P1, P2, ALL, P1)))
    assert answers == [["mine"], ["theirs"], ["mine", "theirs"], ["mine"]]
    assert max(sizes) > 1


async def test_a_scope_may_name_resources(store: Store) -> None:
    await fill(store)
    scope = Scope("two", (q.IdIn((rid("Observation", "mine"), rid("Observation", "theirs"))),))
    assert await found(store, scope, q.Query("Observation", (q.TokenCode(CODE, ("a",)),))) == ["theirs", "mine"]
    assert await found(store, scope, q.Query("Observation", (q.Not(scope.predicates[0]),))) == []
    history = await store.history(scope, q.HistoryQuery())
    assert [version.logical_id for version in history.versions] == ["theirs", "mine", "mine"]
    assert await store.read(scope, "Observation", "moved") is None


async def test_a_date_in_a_scope_is_a_predicate_like_any(store: Store) -> None:
    await put(store, observation("old", day=1), observation("new", day=9))
    scope = Scope("since", (q.PeriodRange(DATE, end_low=5 * DAY, primary=True),))
    assert await found(store, scope, q.Query("Observation")) == ["new"]
    assert await store.read(scope, "Observation", "old") is None
    assert [version.logical_id for version in (await store.history(scope, q.HistoryQuery())).versions] == ["new"]
