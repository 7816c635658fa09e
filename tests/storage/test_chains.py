"""Chains and _has over more matches than are looked up beforehand (R4 search.html#chaining, search.html#has)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from fhir_server.interactions.draft import prepare
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.json import decode
from fhir_server.settings import Settings
from fhir_server.storage.base import Store, Transaction
from fhir_server.storage.scope import ALL
from fhir_server.storage.sql.resolve import FEW

PATIENTS = 30


async def put(store: Store, resources: list[dict[str, Any]]) -> None:
    async def work(transaction: Transaction) -> None:
        for resource in resources:
            await transaction.put(prepare(resource, resource["id"], time_zone="UTC", fresh=True))

    await store.write(ALL, work)


async def found(store: Store, target: str) -> set[str]:
    resource_type, _, query = target.partition("?")
    request = Request("GET", resource_type, parse_qsl(query), base_url="http://127.0.0.1/fhir")
    answer = await dispatch(Server(store, Settings(content=False)), request)
    assert answer.status == 200
    assert isinstance(answer.body, bytes)
    return {entry["resource"]["id"] for entry in decode(answer.body).get("entry", [])}


def observation(number: int, patient: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": f"Patient/p{patient}"},
    }


@pytest.mark.parametrize("most", [2, PATIENTS])
async def test_many_matches_of_few_patients(store: Store, most: int) -> None:
    """The first patients have most of the Observations, every tenth has one, written last or first."""
    await put(store, [{"resourceType": "Patient", "id": f"p{n}"} for n in range(PATIENTS)])
    late = [observation(n, n) for n in range(0, PATIENTS, 10)]
    early = [observation(100 + n, n) for n in range(5, PATIENTS, 10)]
    await put(store, [*early, *(observation(1000 + n, n % most) for n in range(FEW + 200)), *late])
    expected = {f"p{n}" for n in (*range(most), *range(0, PATIENTS, 10), *range(5, PATIENTS, 10))}
    assert await found(store, "Patient?_has:Observation:patient:code=http://loinc.org|718-7&_count=100") == expected
