"""Companions: resources that a draft brings with it, each stored once (storage/base.py). Both engines."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from fhir_server.bulk.prepare import Accepted, decode_batch
from fhir_server.errors import Conflict
from fhir_server.model.identity import rid
from fhir_server.storage import query as q
from fhir_server.storage.base import Draft, Store, StoredVersion, Transaction
from fhir_server.storage.parameters import StaleIndex
from fhir_server.storage.scope import ALL, Scope
from tests.storage.drafts import draft, observation

PATIENT = ("Patient", "p1")


def answers(*companions: Draft, value: int = 0) -> Draft:
    return replace(observation("answers", value=value), companions=companions)


async def put(store: Store, *drafts: Draft, scope: Scope = ALL) -> None:
    async def work(transaction: Transaction) -> None:
        for one in drafts:
            await transaction.put(one)

    await store.write(scope, work)


async def read(store: Store, logical_id: str) -> StoredVersion | None:
    return await store.read(ALL, "Observation", logical_id)


async def versions(store: Store, *logical_ids: str) -> list[int | None]:
    found = [await read(store, logical_id) for logical_id in logical_ids]
    return [one.version_id if one else None for one in found]


async def test_companions_are_stored_with_their_draft(store: Store) -> None:
    await put(store, answers(observation("flag"), observation("task")))
    assert await versions(store, "answers", "flag", "task") == [1, 1, 1]
    page = await store.search(ALL, q.Query("Observation"))
    assert {match.logical_id for match in page.matches} == {"answers", "flag", "task"}
    assert (await store.counts(ALL))["Observation"] == 3


async def test_what_is_or_was_there_is_left(store: Store) -> None:
    await put(store, observation("flag", value=7), observation("task"))
    await store.write(ALL, lambda transaction: transaction.delete("Observation", "task"))
    await put(store, answers(observation("flag"), observation("task"), observation("other")))
    assert await versions(store, "flag", "task", "other") == [1, 2, 1]
    task = await read(store, "task")
    assert task is not None
    assert task.body is None


async def test_works_of_one_group_store_them_once(store: Store) -> None:
    await asyncio.gather(*(put(store, answers(observation("flag"), value=n)) for n in range(20)))
    assert await versions(store, "answers", "flag") == [20, 1]


async def test_nothing_is_stored_about_somebody_deleted(store: Store) -> None:
    about = replace(observation("flag"), about=PATIENT)
    await put(store, draft({"resourceType": "Patient", "id": "p1"}))
    await store.write(ALL, lambda transaction: transaction.delete(*PATIENT))
    await put(store, answers(about))
    assert await versions(store, "answers", "flag") == [1, None]
    await put(store, draft({"resourceType": "Patient", "id": "p1"}), answers(about, value=1))
    assert await versions(store, "answers", "flag") == [2, 1]


async def test_a_work_that_fails_leaves_none(store: Store) -> None:
    async def failing(transaction: Transaction) -> None:
        await transaction.put(answers(observation("flag")))
        raise Conflict("no")

    results = await asyncio.gather(
        store.write(ALL, failing), put(store, observation("another")), return_exceptions=True
    )
    assert isinstance(results[0], Conflict)
    assert await versions(store, "answers", "flag", "another") == [None, None, 1]


async def test_they_are_written_whatever_the_scope(store: Store) -> None:
    """Who may write the answers need not be allowed to write, or see, what the server makes of them."""
    scope = Scope("p1", (q.InCompartment((rid("Patient", "p1"),)),))
    await put(store, answers(observation("flag", patient="p2")), scope=scope)
    assert await versions(store, "answers", "flag") == [1, 1]
    assert await store.read(scope, "Observation", "flag") is None


async def test_they_are_written_without_their_draft_too(store: Store) -> None:
    one = answers(observation("flag"))

    async def work(transaction: Transaction) -> list[StoredVersion]:
        return await transaction.put_companions(one)

    first, second = await store.write(ALL, work), await store.write(ALL, work)
    assert [version.logical_id for version in first] == ["flag"]
    assert second == []
    assert await versions(store, "answers", "flag") == [None, 1]


async def test_rows_of_older_search_parameters_are_refused(store: Store) -> None:
    old = replace(answers(observation("flag")), epoch=-1)
    with pytest.raises(StaleIndex):
        await store.write(ALL, lambda transaction: transaction.put_companions(old))


def test_they_cross_between_processes() -> None:
    sent = Accepted(answers(replace(observation("flag"), about=PATIENT)))
    assert decode_batch(msgspec.msgpack.encode([sent])) == [sent]
