"""No room on SQLite, made by PRAGMA max_page_count: writes are refused (507), nothing is half there, reads go on.

tests/torture/test_full_disk.py has the same of a real server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fhir_server.errors import StorageFull
from fhir_server.storage import query as q
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.scope import ALL
from fhir_server.storage.sqlite.engine import SqliteEngine
from fhir_server.storage.sqlite.store import SqliteStore
from tests.storage.derived import findings, observation
from tests.storage.drafts import draft

ROOM = 6
"""Pages (of 8 KiB) that the file may still grow: less than one write of `MANY` resources takes."""
MANY = 200

Work = Callable[[Transaction], Awaitable[object]]


@pytest.fixture
def database_url(new_database: Callable[[str], str]) -> str:
    return new_database("sqlite")


def some(prefix: str, count: int = MANY) -> Work:
    """A work that writes `count` resources."""

    async def work(transaction: Transaction) -> list[StoredVersion]:
        return [await transaction.put(observation(f"{prefix}{n}", n)) for n in range(count)]

    return work


def after_search(prefix: str) -> Work:
    """The rows are sent in the middle of the work, behind a savepoint, and again at its end."""

    async def work(transaction: Transaction) -> None:
        await transaction.put(observation(f"{prefix}-first", 1))
        await transaction.search(q.Query("Observation"))
        await some(prefix)(transaction)
        await transaction.search(q.Query("Observation"))
        await some(f"{prefix}-more-")(transaction)

    return work


def blob(prefix: str) -> Work:
    """Sent in a thread."""

    async def work(transaction: Transaction) -> None:
        one = draft({"resourceType": "Binary", "id": prefix, "data": ""})
        one.blob_content, one.blob_offset = [bytes(300_000)] * 4, one.tail.index(b'"data":""') + 8
        await transaction.put(one)

    return work


def limit(store: SqliteStore, room: int | None) -> None:
    """Let the writing connection's file grow by `room` pages, or without limit."""
    assert isinstance(store._engine, SqliteEngine)
    connection = store._engine._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {2**31 if room is None else pages + room}")


async def ids(store: SqliteStore) -> set[str]:
    page = await store.search(ALL, q.Query("Observation", count=10_000))
    return {match.logical_id for match in page.matches}


BEFORE = {f"before{n}" for n in range(MANY)}


@pytest.mark.parametrize("work", [some, after_search, blob])
async def test_a_write_without_room_is_refused_and_leaves_nothing(
    store: SqliteStore, work: Callable[[str], Work]
) -> None:
    await store.write(ALL, some("before"))
    limit(store, ROOM)
    for attempt in range(3):
        with pytest.raises(StorageFull) as refusal:
            await store.write(ALL, work(f"full{attempt}"))
        assert refusal.value.status == 507
        assert await ids(store) == BEFORE
        read = await store.read(ALL, "Observation", "before7")
        assert read is not None
        assert (await store.history(ALL, q.HistoryQuery())).total == MANY
        assert await findings(store) == set()

    limit(store, None)
    await store.write(ALL, work("after"))
    await store.write(ALL, some("again", 1))
    newest = (await store.history(ALL, q.HistoryQuery(count=1))).versions[0]
    assert newest.seq == (await store.history(ALL, q.HistoryQuery())).total  # refused works took no seq
    assert await findings(store) == set()


async def test_updates_and_deletes_without_room_change_nothing(store: SqliteStore) -> None:
    await store.write(ALL, some("before"))
    limit(store, 0)
    refused = 0
    for n in range(MANY):
        try:
            await store.write(ALL, lambda transaction, n=n: transaction.put(observation(f"before{n}", n + 1)))
            await store.write(ALL, lambda transaction, n=n: transaction.delete("Observation", f"before{n}"))
        except StorageFull:
            refused += 1
    assert refused > 0
    assert await findings(store) == set()
    history = await store.history(ALL, q.HistoryQuery(count=10_000))
    assert history.versions[0].seq == history.total
    counted = await store.counts(ALL)
    assert counted["Observation"] == len(await ids(store))


async def test_of_writes_at_once_each_is_whole_or_refused(store: SqliteStore) -> None:
    """They share groups: what is acknowledged is there, what is refused is not, and nobody waits for ever."""
    await store.write(ALL, some("before"))
    limit(store, 40)
    works = {f"o{n}-": store.write(ALL, some(f"o{n}-", 5)) for n in range(200)}
    answers = dict(zip(works, await asyncio.gather(*works.values(), return_exceptions=True), strict=True))
    refused = {name for name, answer in answers.items() if isinstance(answer, StorageFull)}
    assert 0 < len(refused) < 200
    assert {name for name, answer in answers.items() if isinstance(answer, BaseException)} == refused
    written = {f"{name}{n}" for name in answers.keys() - refused for n in range(5)}
    assert await ids(store) == BEFORE | written
    assert await findings(store) == set()

    limit(store, None)
    await asyncio.gather(*(store.write(ALL, some(name, 5)) for name in refused))
    assert await ids(store) == BEFORE | {f"{name}{n}" for name in answers for n in range(5)}
    assert await findings(store) == set()
