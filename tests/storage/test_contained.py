"""Contained resources follow their container through vacuum, purge and check (R4 references.html#contained)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fhir_server.interactions.draft import prepare
from fhir_server.model.json import decode
from fhir_server.search.extract import extract
from fhir_server.storage.base import Store, Transaction
from fhir_server.storage.codes import TYPE_NAMES
from fhir_server.storage.scope import ALL
from tests.interactions.test_contained import request


async def put(store: Store, code: str) -> None:
    async def work(transaction: Transaction) -> None:
        for logical_id in ("r0", "r1", "r2"):
            await transaction.put(prepare(request(logical_id, code=code), logical_id, time_zone="UTC"))

    await store.write(ALL, work)


async def inconsistencies(store: Store) -> list[Any]:
    return [finding async for finding in store.check(lambda body: extract(decode(body), "UTC"))]


async def versions(store: Any) -> Counter[str]:
    rows = await store.session.fetch("SELECT v.type FROM version v", ())
    return Counter(TYPE_NAMES[row[0]] for row in rows)


async def test_what_is_contained_is_kept_and_goes_with_its_container(store: Store) -> None:
    await put(store, "a")
    await put(store, "b")
    assert await inconsistencies(store) == []
    assert await versions(store) == {"MedicationRequest": 6, "#Medication": 6, "#Practitioner": 6}

    assert await store.vacuum(-10) == 9
    assert await inconsistencies(store) == []
    assert await versions(store) == {"MedicationRequest": 6, "#Medication": 3, "#Practitioner": 3}

    await store.write(ALL, lambda transaction: transaction.purge("MedicationRequest", "r1"))
    assert await inconsistencies(store) == []
    assert await versions(store) == {"MedicationRequest": 4, "#Medication": 2, "#Practitioner": 2}


async def test_check_misses_what_is_not_indexed(store: Any) -> None:
    await put(store, "a")
    (seq,) = (await store.session.fetch("SELECT max(v.seq) FROM version v", ()))[0]

    async def damage(transaction: Any) -> None:
        await transaction.connection.run(f"DELETE FROM version WHERE seq = {seq}")

    await store.write(ALL, damage)
    assert {finding.kind for finding in await inconsistencies(store)} >= {"orphan"}
