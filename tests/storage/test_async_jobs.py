"""Long requests in the store: leases, steps kept once, removal, expiry. Both engines."""

from __future__ import annotations

from dataclasses import replace

from fhir_server.storage.async_jobs import AsyncJob, Output, OutputFile
from fhir_server.storage.base import Store

LONG = 60.0
ENDED = 0.0


async def added(store: Store, kind: str = "work", most: int = 9) -> AsyncJob:
    job = await store.async_jobs.add(kind, "anna", "http://test.example/fhir/$work", b'{"plan": 1}', 7, most)
    assert job is not None
    return job


async def claimed(store: Store, owner: str = "a", lease: float = LONG) -> AsyncJob:
    job = await store.async_jobs.claim(owner, lease)
    assert job is not None
    return job


async def whole(store: Store, job: AsyncJob, name: str) -> bytes:
    return b"".join([piece async for piece in store.async_jobs.content(job.id, name)])


async def test_a_job_is_kept_as_it_was_asked_for(store: Store) -> None:
    job = await added(store)
    found = await store.async_jobs.one(job.id)
    assert found == job
    assert (job.kind, job.principal, job.plan, job.place, job.total) == ("work", "anna", b'{"plan": 1}', b"", 7)
    assert (job.state, job.done, job.finished) == ("waiting", 0, False)
    assert await store.async_jobs.one("another") is None


async def test_ids_are_not_counted(store: Store) -> None:
    ids = {(await added(store)).id for _ in range(3)}
    assert len(ids) == 3
    assert all(len(one) > 20 for one in ids)


async def test_more_than_the_most_are_not_taken(store: Store) -> None:
    await added(store, most=2)
    first = await claimed(store)
    await added(store, most=2)
    assert await store.async_jobs.add("work", "", "", b"", 0, 2) is None
    await store.async_jobs.finish(first)
    await added(store, most=2)


async def test_the_oldest_is_claimed_first_and_by_one(store: Store) -> None:
    first, second = await added(store), await added(store)
    assert (await claimed(store, "a")).id == first.id
    assert (await claimed(store, "b")).id == second.id
    assert await store.async_jobs.claim("c", LONG) is None


async def test_steps_add_output_in_order_and_move_on(store: Store) -> None:
    await added(store)
    job = await claimed(store)
    for done, output in ((2, [Output("x", 2, b"1\n2\n"), Output("y", 1, b"a\n")]), (3, [Output("x", 1, b"3\n")])):
        after = replace(job, place=b"%d" % done, done=done)
        assert await store.async_jobs.step(job, output, after, LONG)
        job = after
    assert await store.async_jobs.finish(job)
    found = await store.async_jobs.one(job.id)
    assert found is not None
    assert (found.state, found.place, found.done, found.finished) == ("completed", b"3", 3, True)
    assert await store.async_jobs.files(job.id) == [OutputFile("x", 3), OutputFile("y", 1)]
    assert (await whole(store, job, "x"), await whole(store, job, "y")) == (b"1\n2\n3\n", b"a\n")
    assert await store.async_jobs.claim("b", LONG) is None


async def test_who_lost_the_lease_writes_nothing(store: Store) -> None:
    await added(store)
    lost = await claimed(store, "a", ENDED)
    assert await store.async_jobs.step(lost, [Output("x", 1, b"1\n")], replace(lost, place=b"1", done=1), ENDED)
    taken = await claimed(store, "b")
    assert (taken.id, taken.place, taken.done) == (lost.id, b"1", 1)
    assert not await store.async_jobs.step(lost, [Output("x", 1, b"1\n")], replace(lost, place=b"2", done=2), LONG)
    assert not await store.async_jobs.finish(lost)
    await store.async_jobs.release(lost)
    assert await store.async_jobs.claim("c", LONG) is None
    assert await whole(store, taken, "x") == b"1\n"


async def test_a_released_job_is_claimed_at_once(store: Store) -> None:
    await added(store)
    job = await claimed(store, "a")
    await store.async_jobs.release(job)
    assert (await claimed(store, "b")).id == job.id


async def test_a_failure_is_kept(store: Store) -> None:
    await added(store)
    job = await claimed(store)
    assert await store.async_jobs.finish(job, "too much")
    found = await store.async_jobs.one(job.id)
    assert found is not None
    assert (found.state, found.failure) == ("failed", "too much")


async def test_what_is_removed_is_gone_and_its_step_is_not_kept(store: Store) -> None:
    await added(store)
    job = await claimed(store)
    assert await store.async_jobs.step(job, [Output("x", 1, b"1\n")], replace(job, done=1), LONG)
    assert await store.async_jobs.remove(job.id)
    assert not await store.async_jobs.step(job, [Output("x", 1, b"2\n")], replace(job, done=2), LONG)
    assert await store.async_jobs.one(job.id) is None
    assert await store.async_jobs.files(job.id) == []
    assert not await store.async_jobs.remove(job.id)


async def test_only_what_ended_expires(store: Store) -> None:
    for _ in range(2):
        await added(store)
    ended, running = await claimed(store, "a"), await claimed(store, "b")
    await store.async_jobs.finish(ended)
    assert await store.async_jobs.expire(60) == []
    assert [job.id for job in await store.async_jobs.expire(-60)] == [ended.id]
    assert await store.async_jobs.one(ended.id) is None
    assert await store.async_jobs.one(running.id) is not None
