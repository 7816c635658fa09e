"""The Store protocol, on both engines (R4 http.html: versions, history, transactions; search pages as snapshots)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.errors import BusinessRule, ResourceGone
from fhir_server.model.identity import rid, token
from fhir_server.storage import query as q
from fhir_server.storage.base import Store, StoredVersion, Transaction
from fhir_server.storage.rows import parameter
from fhir_server.storage.scope import ALL, Scope
from tests.storage.drafts import CODE, DATE, DAY, IDENTIFIER, STATUS, SUBJECT, VALUE, draft, observation

PATIENT = {"resourceType": "Patient", "id": "p1"}


async def put(store: Store, *drafts: Any) -> list[StoredVersion]:
    async def work(transaction: Transaction) -> list[StoredVersion]:
        return [await transaction.put(one) for one in drafts]

    return await store.write(ALL, work)


async def delete(store: Store, resource_type: str, logical_id: str) -> StoredVersion | None:
    return await store.write(ALL, lambda transaction: transaction.delete(resource_type, logical_id))


async def ids(store: Store, *predicates: q.Predicate, **options: Any) -> list[str]:
    page = await store.search(ALL, q.Query("Observation", predicates, **options))
    return [match.logical_id for match in page.matches]


def a_code(code: str) -> q.NumberIn:
    return q.NumberIn(CODE, (token("http://loinc.org", code),))


async def test_a_created_resource_is_read_back_with_its_meta(store: Store) -> None:
    (created,) = await put(store, draft(PATIENT))
    read = await store.read(ALL, "Patient", "p1")
    assert read is not None
    assert (read.version_id, read.method, read.seq) == (1, "create", created.seq)
    assert read.body is not None
    body = json.loads(read.body)
    assert body["meta"]["versionId"] == "1"
    assert read.last_updated == created.last_updated > 1_600_000_000_000_000
    assert await store.read(ALL, "Patient", "p2") is None
    assert await store.read(ALL, "Observation", "p1") is None


async def test_versions_count_up_through_update_delete_and_re_creation(store: Store) -> None:
    for _ in range(2):
        await put(store, draft(PATIENT))
    gone = await delete(store, "Patient", "p1")
    assert gone is not None
    assert gone.version_id == 3
    assert await delete(store, "Patient", "p1") is None
    deleted = await store.read(ALL, "Patient", "p1")
    assert deleted is not None
    assert (deleted.method, deleted.body) == ("delete", None)
    (again,) = await put(store, draft(PATIENT))
    assert (again.version_id, again.method) == (4, "create")
    second = await store.vread(ALL, "Patient", "p1", 2)
    assert second is not None
    assert second.method == "update"
    page = await store.history(ALL, q.HistoryQuery("Patient", "p1"))
    assert [(v.version_id, v.method) for v in page.versions] == [
        (4, "create"), (3, "delete"), (2, "update"), (1, "create"),
    ]  # fmt: skip
    assert page.total == 4
    assert await store.counts(ALL) == {"Patient": 1}


async def test_a_failing_work_is_undone_alone_though_its_group_commits(store: Store) -> None:
    async def refuse(transaction: Transaction) -> None:
        await transaction.put(observation("bad"))
        raise BusinessRule("no")

    async def refuse_after_search(transaction: Transaction) -> None:
        await transaction.put(observation("worse"))
        assert (await transaction.search(q.Query("Observation", (a_code("a"),)))).matches
        raise BusinessRule("no")

    answers = await asyncio.gather(
        put(store, observation("one")),
        store.write(ALL, refuse),
        put(store, observation("two")),
        store.write(ALL, refuse_after_search),
        put(store, observation("three")),
        return_exceptions=True,
    )
    assert [isinstance(answer, BusinessRule) for answer in answers] == [False, True, False, True, False]
    assert sorted(await ids(store)) == ["one", "three", "two"]
    assert await store.counts(ALL) == {"Observation": 3}


async def test_a_search_in_a_transaction_sees_earlier_members_of_the_group(store: Store) -> None:
    """Conditional create is unique under concurrency (R4 http.html#ccreate)."""

    async def create_once(transaction: Transaction) -> bool:
        found = await transaction.search(q.Query("Observation", (q.TextIn(IDENTIFIER, ("same",)),), count=2))
        if found.matches:
            return False
        await transaction.put(observation(f"o{id(transaction)}-{len(found.matches)}", identifier="same"))
        return True

    made = await asyncio.gather(*(store.write(ALL, create_once) for _ in range(16)))
    assert sum(made) == 1
    assert len(await ids(store, q.TextIn(IDENTIFIER, ("same",)))) == 1


async def test_a_search_without_bodies_says_which_versions_match(store: Store) -> None:
    (first,) = await put(store, observation("a"))
    (second,) = await put(store, observation("a"))
    for query in (q.Query("Observation", (a_code("a"),), bodies=False), q.Query("Observation", bodies=False)):
        (match,) = (await store.search(ALL, query)).matches
        assert (match.logical_id, match.version_id, match.seq, match.body) == ("a", 2, second.seq, None)
    assert first.seq < second.seq


async def test_search_by_patient_code_and_date_is_newest_first(store: Store) -> None:
    await put(store, *(observation(f"o{n}", day=n, code="ab"[n % 2], patient=f"p{n % 3}") for n in range(30)))
    after = q.PeriodRange(DATE, end_low=12 * DAY, primary=True)
    patient = q.NumberIn(SUBJECT, (rid("Patient", "p1"),))
    assert await ids(store, patient, a_code("a"), after) == ["o28", "o22", "o16"]
    ascending = (q.SortKey("primary_date"),)
    assert await ids(store, patient, a_code("a"), after, sort=ascending) == ["o16", "o22", "o28"]
    both = q.NumberIn(CODE, (token("http://loinc.org", "a"), token("http://loinc.org", "b")))
    assert await ids(store, both, q.PeriodRange(DATE, start_high=2 * DAY, primary=True)) == ["o2", "o1", "o0"]


async def test_a_long_period_is_found_by_its_end(store: Store) -> None:
    await put(store, observation("long", day=0, days=400), observation("short", day=300), observation("old", day=10))
    assert await ids(store, q.PeriodRange(DATE, end_low=301 * DAY - 1, primary=True)) == ["short", "long"]


async def test_resources_without_a_date_come_last_both_ways(store: Store) -> None:
    await put(store, observation("none", day=None), observation("new", day=9), observation("ancient", day=-9000))
    assert await ids(store) == ["new", "ancient", "none"]
    assert await ids(store, sort=(q.SortKey("primary_date"),)) == ["ancient", "new", "none"]


SELECTED: list[tuple[q.Predicate, list[str]]] = [
    (q.TokenCode(CODE, ("a",)), ["o2", "o0"]),
    (q.TokenCode(CODE, ("zzz",)), []),
    (q.TokenSystem(CODE, "http://loinc.org"), ["o3", "o2", "o1", "o0"]),
    (q.NumberRange(VALUE, low=10), ["o3", "o2", "o1"]),
    (q.NumberRange(VALUE, low=10, high=20), ["o2", "o1"]),
    (q.TextPrefix(IDENTIFIER, "x"), ["o3", "o2", "o1", "o0"]),
    (q.TextIn(IDENTIFIER, ("x1", "x2")), ["o2", "o1"]),
    (q.IdIn((rid("Observation", "o1"), rid("Observation", "nope"))), ["o1"]),
    (q.Not(q.TokenCode(CODE, ("a",))), ["o3", "o1"]),
    (q.Or((q.NumberRange(VALUE, high=0), q.NumberRange(VALUE, low=30))), ["o3", "o0"]),
    (q.InCompartment((rid("Patient", "p1"),)), ["o3", "o2", "o1", "o0"]),
    (q.Exists((IDENTIFIER,)), ["o3", "o2", "o1", "o0"]),
    (q.Exists((parameter(4_000_000),)), []),
    (q.LastUpdatedRange(high=1), []),
]
"""Of o0 to o3, on days 0 to 3, with codes a and b in turn, values 0 to 30 and identifiers x0 to x3."""


async def test_predicates_select(store: Store) -> None:
    await put(
        store, *(observation(f"o{n}", day=n, code="ab"[n % 2], value=10 * n, identifier=f"x{n}") for n in range(4))
    )
    assert [(predicate, await ids(store, predicate)) for predicate, _ in SELECTED] == SELECTED
    for predicate, expected in SELECTED:
        page = await store.search(ALL, q.Query("Observation", (predicate,), count=0, total=True))
        assert (page.matches, page.total) == ([], len(expected)), predicate


async def pages(store: Store, query: q.Query, code: str) -> list[str]:
    """All ids of a search, two at a time, changing the store between the pages."""
    found: list[str] = []
    query = replace(query, count=2)
    turn = 0
    while True:
        page = await store.search(ALL, query)
        found += [match.logical_id for match in page.matches]
        turn += 1
        new = observation(f"new{turn}", day=50 + turn, code=code)
        await put(store, new, observation(f"o{turn}", day=99, value=turn, code=code))
        await delete(store, "Observation", f"o{9 - turn}")
        if page.next_after is None:
            return found
        query = replace(query, snapshot=page.snapshot, after=page.next_after)


SORTS: list[tuple[q.SortKey, ...]] = [
    (),
    (q.SortKey("primary_date"),),
    (q.SortKey("last_updated"),),
    (q.SortKey("last_updated", descending=True),),
    (q.SortKey("number", ps=(VALUE,)), q.SortKey("id", descending=True)),
    (q.SortKey("text", descending=True, ps=(IDENTIFIER,)), q.SortKey("primary_date")),
    (q.SortKey("id"),),
]


async def test_each_page_shows_the_snapshot_whatever_is_written_meanwhile(store: Store) -> None:
    for sort in SORTS:
        code = f"sorted {SORTS.index(sort)}"
        await put(
            store,
            *(
                observation(f"o{n}", day=n % 4 or None, value=n % 3, identifier=f"i{n % 2}" if n % 5 else "", code=code)
                for n in range(10)
            ),
        )
        query = q.Query("Observation", (a_code(code),), sort=sort)
        whole = await store.search(ALL, replace(query, count=100))
        expected = [match.logical_id for match in whole.matches]
        assert sorted(expected) == [f"o{n}" for n in range(10)], sort
        assert await pages(store, query, code) == expected, sort


async def test_vacuum_ends_old_snapshots_and_keeps_the_current_index(store: Store) -> None:
    await put(store, *(observation(f"o{n}", day=n) for n in range(3)))
    page = await store.search(ALL, q.Query("Observation", count=1))
    await put(store, observation("o1", day=7, value=5))
    assert await store.vacuum(-1) == 1
    assert await store.vacuum(-1) == 0
    assert await ids(store) == ["o1", "o2", "o0"]
    with pytest.raises(ResourceGone):
        await store.search(ALL, q.Query("Observation", count=1, snapshot=page.snapshot, after=page.next_after))


async def test_purge_leaves_nothing(store: Store) -> None:
    await put(store, observation("o1"), observation("o2"))
    await put(store, observation("o1", value=3))
    counts = await store.write(ALL, lambda transaction: transaction.purge("Observation", "o1"))
    assert (counts.resources, counts.versions) == (1, 2)
    assert counts.index_rows > 10
    assert await store.read(ALL, "Observation", "o1") is None
    assert await ids(store) == ["o2"]
    assert (await store.history(ALL, q.HistoryQuery())).total == 1
    assert await store.counts(ALL) == {"Observation": 1}


async def test_history_by_time(store: Store) -> None:
    """R4 http.html#history: _since and _at."""
    (first,) = await put(store, observation("o1"))
    (other,) = await put(store, observation("o2"))
    (second,) = await put(store, observation("o1", value=2))

    async def seen(**bounds: Any) -> list[tuple[str, int]]:
        page = await store.history(ALL, q.HistoryQuery("Observation", **bounds))
        return [(version.logical_id, version.version_id) for version in page.versions]

    assert await seen(since=second.last_updated) == [("o1", 2)]
    assert await seen(since=other.last_updated) == [("o1", 2), ("o2", 1)]
    assert await seen(at_low=other.last_updated, at_high=other.last_updated) == [("o2", 1), ("o1", 1)]
    assert await seen(at_low=first.last_updated, at_high=second.last_updated) == [("o1", 2), ("o2", 1), ("o1", 1)]
    page = await store.history(ALL, q.HistoryQuery(count=2))
    rest = await store.history(ALL, q.HistoryQuery(count=2, snapshot=page.snapshot, before=page.next_before))
    assert [v.seq for v in page.versions + rest.versions] == [second.seq, other.seq, first.seq]


async def test_blobs_are_stored_beside_the_body(store: Store) -> None:
    one = draft({"resourceType": "Binary", "id": "b", "data": ""})
    one.blob_content = [b"abc" * 1000, b"xyz"]
    one.blob_offset = one.tail.index(b'"data":""') + 8
    one.blob_content_type = "application/pdf"
    await put(store, one)
    read = await store.read(ALL, "Binary", "b")
    assert read is not None
    assert read.blob is not None
    assert read.body is not None
    assert read.body[read.blob.offset - 8 :].startswith(b'"data":""')
    assert (read.blob.size, read.blob.content_type) == (3003, "application/pdf")
    assert b"".join([chunk async for chunk in store.read_blob(ALL, read)]) == b"abc" * 1000 + b"xyz"


async def test_a_scope_narrows_every_read(store: Store) -> None:
    await put(store, observation("mine", patient="p1"), observation("theirs", patient="p2"))
    scope = Scope("p1", (q.InCompartment((rid("Patient", "p1"),)),))
    assert await store.read(scope, "Observation", "theirs") is None
    assert await store.vread(scope, "Observation", "theirs", 1) is None
    assert await store.read(scope, "Observation", "mine") is not None
    page = await store.search(scope, q.Query("Observation"))
    assert [match.logical_id for match in page.matches] == ["mine"]


async def test_secrets_are_made_once(store: Store) -> None:
    first = await store.secret("cursor")
    assert len(first) == 32
    assert await store.secret("cursor") == first
    assert await store.secret("other") != first


async def test_two_versions_in_one_transaction_share_last_updated(store: Store) -> None:
    one, two = await put(store, observation("o1"), observation("o1", status="amended"))
    assert (one.version_id, two.version_id) == (1, 2)
    assert one.last_updated == two.last_updated
    assert await ids(store, q.NumberIn(STATUS, (token("", "amended"),))) == ["o1"]
    assert await ids(store, q.NumberIn(STATUS, (token("", "final"),))) == []
