"""Works in commit groups: each whole or not at all, in one order for seqs, times and commits, over all writers.

R4 http.html#transaction (all or nothing), #history (_since must not lose a version).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from fhir_server.errors import BusinessRule, FhirError, Overloaded
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage import query as q
from fhir_server.storage.base import Store, StoredVersion, Transaction
from fhir_server.storage.scope import ALL
from fhir_server.storage.sql.writer import GroupWriter
from tests.storage.derived import SYSTEM, findings, observation
from tests.storage.drafts import CODE, draft

Work = Callable[[Transaction], Awaitable[object]]


def put(logical_id: str, value: int = 1) -> Work:
    return lambda transaction: transaction.put(observation(logical_id, value))


async def write(store: Store, logical_id: str, value: int = 1) -> StoredVersion:
    return await store.write(ALL, lambda transaction: transaction.put(observation(logical_id, value)))


async def versions(store: Store, **bounds: int | None) -> list[StoredVersion]:
    """All of them, oldest first."""
    page = await store.history(ALL, q.HistoryQuery(count=10_000, **bounds))
    return page.versions[::-1]


class Held:
    """A work that writes Observation/held and then stands still inside its transaction until it is let go."""

    def __init__(self) -> None:
        self.started, self._released = asyncio.Event(), asyncio.Event()

    async def __call__(self, transaction: Transaction) -> StoredVersion:
        written = await transaction.put(observation("held", 1))
        await transaction.search(q.Query("Observation"))
        self.started.set()
        await self._released.wait()
        return written

    def release(self) -> None:
        self._released.set()


@asynccontextmanager
async def second_store(settings: Settings) -> AsyncIterator[Store]:
    """Another process's view of the same database: its own connections, writer and queue."""
    store = await open_store(settings)
    try:
        yield store
    finally:
        await store.close()


# -- works that fail -----------------------------------------------------------------------------------------


async def every_kind_of_change(transaction: Transaction) -> None:
    binary = draft({"resourceType": "Binary", "id": "bad", "data": ""})
    binary.blob_content, binary.blob_offset = [b"abc"], binary.tail.index(b'"data":""') + 8
    await transaction.put(binary)
    await transaction.put(observation("bad", 77))
    await transaction.put(observation("kept", 78))
    await transaction.delete("Observation", "deleted")


async def refuse(transaction: Transaction) -> None:
    await every_kind_of_change(transaction)
    raise BusinessRule("no")


async def refuse_after_search(transaction: Transaction) -> None:
    await every_kind_of_change(transaction)
    page = await transaction.search(q.Query("Observation", (q.TokenCode(CODE, ("c77",)),)))
    assert "bad" in [match.logical_id for match in page.matches]
    await transaction.put(observation("worse", 79))
    raise BusinessRule("no")


async def refuse_after_purge(transaction: Transaction) -> None:
    await every_kind_of_change(transaction)
    assert (await transaction.purge("Observation", "purged")).versions == 1
    raise BusinessRule("no")


@pytest.mark.parametrize("bad", [refuse, refuse_after_search, refuse_after_purge])
async def test_a_failing_work_leaves_nothing_though_its_group_commits(store: Store, bad: Work) -> None:
    for logical_id in ("kept", "deleted", "purged"):
        await write(store, logical_id)
    works = [put("one"), bad, put("two", 77), bad, put("three", 3)]  # "two" needs a token that `bad` had made
    answers = await asyncio.gather(*(store.write(ALL, work) for work in works), return_exceptions=True)
    assert [isinstance(answer, BusinessRule) for answer in answers] == [False, True, False, True, False]
    assert [(version.seq, version.logical_id, version.version_id) for version in await versions(store)] == [
        (1, "kept", 1), (2, "deleted", 1), (3, "purged", 1), (4, "one", 1), (5, "two", 1), (6, "three", 1),
    ]  # fmt: skip
    assert await store.counts(ALL) == {"Observation": 6}
    assert await findings(store) == set()
    found = await store.search(ALL, q.Query("Observation", (q.TokenCode(CODE, ("c77",)),)))
    assert [match.logical_id for match in found.matches] == ["two"]


async def test_a_work_whose_statement_fails_is_refused_alone(store: Store) -> None:
    """The database gives up the whole group then: the others are run again."""

    async def nonsense(transaction: Transaction) -> None:
        await transaction.put(observation("bad", 1))
        await transaction.connection.run("SELECT nonsense")  # type: ignore[attr-defined]

    works = [put("one"), nonsense, put("two"), nonsense, put("three")]
    answers = await asyncio.gather(*(store.write(ALL, work) for work in works), return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False, True, False]
    assert [(version.seq, version.logical_id) for version in await versions(store)] == [
        (1, "one"), (2, "two"), (3, "three"),
    ]  # fmt: skip
    assert await findings(store) == set()


# -- order ---------------------------------------------------------------------------------------------------


async def test_seqs_are_dense_and_times_never_decrease_in_commit_order(store: Store) -> None:
    """Equal within one transaction, not below that of any before it."""
    sizes: list[int] = []
    store.writer.group_sizes = sizes.append  # type: ignore[attr-defined]

    async def three(transaction: Transaction) -> list[StoredVersion]:
        name = f"o{id(transaction)}-{len(sizes)}"
        return [await transaction.put(observation(f"{name}-{n}", n)) for n in range(3)]

    written = await asyncio.gather(*(store.write(ALL, three) for _ in range(100)))
    assert [version.seq for work in written for version in work] == list(range(1, 301))
    times = [version.last_updated for work in written for version in work]
    assert times == sorted(times)
    assert all(len({version.last_updated for version in work}) == 1 for work in written)
    assert [(v.seq, v.last_updated) for v in await versions(store)] == list(zip(range(1, 301), times, strict=True))
    assert sum(sizes) == 100
    assert 1 < max(sizes) <= 64


async def test_an_open_transaction_is_before_those_that_wait_for_it(store: Store, settings: Settings) -> None:
    """Two writers on one database: the slower transaction began first, and no reader sees a later one before it."""
    async with second_store(settings) as other:
        held = Held()
        slow = asyncio.create_task(store.write(ALL, held))
        await held.started.wait()
        quick = asyncio.create_task(write(other, "quick"))
        for _ in range(20):
            assert await versions(other) == await versions(store) == []
        assert not quick.done()
        held.release()
        first, second = await asyncio.gather(slow, quick)
        assert (first.seq, second.seq) == (1, 2)
        assert first.last_updated < second.last_updated
        assert [version.logical_id for version in await versions(other)] == ["held", "quick"]


async def test_reading_since_the_newest_seen_misses_nothing(store: Store, settings: Settings) -> None:
    """Two stores write in groups of their own while a third reads what changed since what it knows."""
    rounds, at_once = 12, 5

    async def writer(to: Store, name: str) -> None:
        for n in range(rounds):
            await asyncio.gather(*(write(to, f"{name}{m}", n) for m in range(at_once)))

    async with second_store(settings) as other, second_store(settings) as reader:
        writing = [asyncio.create_task(writer(store, "a")), asyncio.create_task(writer(other, "b"))]
        seen: dict[int, StoredVersion] = {}
        newest, polls, done = 0, 0, False
        while not done:
            done = all(task.done() for task in writing)  # and then one look more
            found = await versions(reader, since=newest)
            seen |= {version.seq: version for version in found}
            newest = max((version.last_updated for version in found), default=newest)
            polls += 1
            await asyncio.sleep(0)
        await asyncio.gather(*writing)
        assert list(seen) == list(range(1, 2 * rounds * at_once + 1))
        assert polls > 3
        newest_versions = {version.logical_id: version.version_id for version in seen.values()}
        assert newest_versions == {f"{name}{m}": rounds for name in "ab" for m in range(at_once)}
        assert await findings(reader) == set()


async def test_two_writers_make_one_of_a_conditional_create(store: Store, settings: Settings) -> None:
    """R4 http.html#ccreate, over two processes: the criteria are looked at in the order of the commits."""

    async def create_once(transaction: Transaction) -> bool:
        criteria = q.TokenCode(CODE, ("c7",))
        if (await transaction.search(q.Query("Observation", (criteria,), count=1))).matches:
            return False
        await transaction.put(observation(f"o{id(transaction)}", 7))
        return True

    async with second_store(settings) as other:
        made = await asyncio.gather(*(one.write(ALL, create_once) for _ in range(8) for one in (store, other)))
        assert sum(made) == 1
        assert len(await versions(other)) == 1


async def test_a_token_of_another_writer_is_known_to_both(store: Store, settings: Settings) -> None:
    """Each remembers which tokens it has stored; neither relies on what the other undid."""
    async with second_store(settings) as other:
        with pytest.raises(BusinessRule):
            await store.write(ALL, refuse)
        await asyncio.gather(write(other, "o1", 77), write(store, "o2", 77), write(other, "o3", 78))
        assert await findings(store) == set()
        found = await store.search(ALL, q.Query("Observation", (q.TokenSystem(CODE, SYSTEM),), total=True))
        assert found.total == 3


# -- callers that go away, and the end -----------------------------------------------------------------------


async def test_a_caller_cancelled_while_its_work_waits_leaves_nothing(store: Store) -> None:
    held = Held()
    first = asyncio.create_task(store.write(ALL, held))
    await held.started.wait()
    waiting = [asyncio.create_task(write(store, f"o{n}")) for n in range(4)]
    await asyncio.sleep(0)  # now they stand in the queue
    waiting[0].cancel()
    waiting[2].cancel()
    held.release()
    answers = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [False, True, False, True, False]
    assert [version.logical_id for version in await versions(store)] == ["held", "o1", "o3"]


async def test_a_caller_cancelled_while_its_work_runs_gets_it_whole(store: Store) -> None:
    held = Held()
    first = asyncio.create_task(store.write(ALL, held))
    await held.started.wait()
    next_one = asyncio.create_task(write(store, "next"))
    first.cancel()
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await next_one).seq == 2
    assert [version.logical_id for version in await versions(store)] == ["held", "next"]
    assert await findings(store) == set()


async def test_a_work_that_is_cancelled_inside_is_refused_alone(store: Store) -> None:
    async def cancelled(transaction: Transaction) -> None:
        await transaction.put(observation("cancelled", 1))
        raise asyncio.CancelledError

    refused, kept = await asyncio.wait_for(
        asyncio.gather(store.write(ALL, cancelled), write(store, "kept"), return_exceptions=True), 10
    )
    assert isinstance(refused, Overloaded)
    assert isinstance(kept, StoredVersion)
    assert [version.logical_id for version in await versions(store)] == ["kept"]


async def test_a_failure_while_failures_are_told_leaves_nobody_waiting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a rollback that cannot even be tried: the callers are told, and the next write works."""
    writer = next(part for part in vars(store).values() if isinstance(part, GroupWriter))

    async def no_rollback() -> None:
        raise RuntimeError("no rollback")

    async def no_commit(_: object) -> None:
        raise RuntimeError("no commit")

    with monkeypatch.context() as broken:
        broken.setattr(writer._engine, "commit", no_commit)
        broken.setattr(writer._engine, "rollback", no_rollback)
        answers = await asyncio.wait_for(
            asyncio.gather(write(store, "a"), write(store, "b"), return_exceptions=True), 10
        )
    assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError]
    await writer._engine.rollback()
    assert isinstance(await write(store, "c"), StoredVersion)


async def test_too_many_waiting_works_are_refused_at_once(settings: Settings) -> None:
    async with second_store(settings.model_copy(update={"max_pending_writes": 3})) as store:
        held = Held()
        first = asyncio.create_task(store.write(ALL, held))
        await held.started.wait()
        waiting = [asyncio.create_task(write(store, f"o{n}")) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(FhirError) as refusal:
            await write(store, "one too many")
        assert refusal.value.status == 429
        assert refusal.value.headers["Retry-After"]
        held.release()
        await asyncio.gather(first, *waiting)
        assert [version.logical_id for version in await versions(store)] == ["held", "o0", "o1", "o2"]


async def test_close_finishes_the_works_that_wait_and_refuses_later_ones(settings: Settings) -> None:
    store = await open_store(settings)
    held = Held()
    works = [asyncio.create_task(store.write(ALL, held))]
    await held.started.wait()
    works += [asyncio.create_task(write(store, f"o{n}")) for n in range(100)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    assert not closing.done()
    held.release()
    answers = await asyncio.gather(*works)
    await closing
    assert [answer.seq for answer in answers] == list(range(1, 102))
    with pytest.raises(FhirError) as refusal:
        await asyncio.wait_for(write(store, "late"), 5)
    assert refusal.value.status == 503
    async with second_store(settings) as reopened:
        assert [version.seq for version in await versions(reopened)] == list(range(1, 102))
        assert await findings(reopened) == set()
