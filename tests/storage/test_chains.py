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
from fhir_server.storage.sql import resolve
from fhir_server.storage.sql.resolve import FEW

PATIENTS = 30


async def put(store: Store, resources: list[dict[str, Any]], *, fresh: bool = True) -> None:
    async def work(transaction: Transaction) -> None:
        for resource in resources:
            await transaction.put(prepare(resource, resource["id"], time_zone="UTC", fresh=fresh))

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


SEARCHES = (
    ("Patient?_has:Observation:patient:code=http://loinc.org|718-7", {f"p{n}" for n in range(0, PATIENTS, 2)}),
    ("Patient?_has:Observation:patient:code=718-7&name=odd", set()),
    ("Patient?name:contains=rthr&_has:Observation:patient:code=718-7", {f"p{n}" for n in range(0, PATIENTS, 10)}),
    ("Observation?patient.name=Even", {f"o{n}" for n in range(0, PATIENTS, 2)}),
    ("Observation?patient.name:contains=rthr", {f"o{n}" for n in range(0, PATIENTS, 10)}),
    ("Observation?patient:Patient._has:Observation:patient:code=718-7", {f"o{n}" for n in range(0, PATIENTS, 2)}),
)


@pytest.mark.parametrize(("target", "expected"), SEARCHES)
async def test_what_many_refer_to(
    store: Store, monkeypatch: pytest.MonkeyPatch, target: str, expected: set[str]
) -> None:
    """More inner matches, of as many resources, than are looked up: each candidate is asked. What an older version says
    counts for nothing."""
    monkeypatch.setattr(resolve, "FEW", 2)
    monkeypatch.setattr(resolve, "SAMPLE", 2)
    family = ["Even", "Odd"]
    names = [[family[n % 2], "Arthritis" if n % 10 == 0 else "Other"] for n in range(PATIENTS)]
    patients = [
        {"resourceType": "Patient", "id": f"p{n}", "name": [{"family": one} for one in names[n]]}
        for n in range(PATIENTS)
    ]
    await put(store, [{**one, "name": [{"family": "Even"}, {"family": "Arthritis"}]} for one in patients])
    await put(store, patients, fresh=False)
    await put(store, [observation(n, n) for n in range(PATIENTS)])
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
    await put(store, [{**observation(n, n), "code": code} for n in range(1, PATIENTS, 2)], fresh=False)
    assert await found(store, f"{target}&_count=100") == expected


async def test_pages_of_resources_without_a_date(store: Store) -> None:
    """Newest version first, from first to last and back (R4 http.html#paging), found by a part of a name or by ids."""
    named = [{"family": "Arthritis"}]
    await put(store, [{"resourceType": "Patient", "id": f"p{n}", "name": named} for n in range(PATIENTS)])
    await put(store, [{"resourceType": "Patient", "id": "p7", "name": named}], fresh=False)
    newest_first = ["p7", *(f"p{n}" for n in reversed(range(PATIENTS)) if n != 7)]
    ids = ",".join(f"p{n}" for n in (*range(PATIENTS), 3, 3))
    for target in ("Patient?name:contains=rthr", f"Patient?_id={ids}"):
        forward, links = await _pages(store, f"{target}&_count=7", "next")
        assert forward == newest_first
        last = links[-1]
        backward, _ = await _pages(store, last, "previous")
        pages = [newest_first[n : n + 7] for n in range(0, PATIENTS, 7)]
        assert backward == [one for page in reversed(pages) for one in page]


async def _pages(store: Store, target: str, relation: str) -> tuple[list[str], list[str]]:
    """Ids in the order of the pages, and the address of each page."""
    ids, targets = [], []
    following: str | None = target
    while following:
        targets.append(following)
        resource_type, _, query = following.partition("?")
        request = Request("GET", resource_type, parse_qsl(query), base_url="http://127.0.0.1/fhir")
        answer = await dispatch(Server(store, Settings(content=False)), request)
        assert answer.status == 200
        assert isinstance(answer.body, bytes)
        bundle = decode(answer.body)
        ids += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        following = links[relation].removeprefix("http://127.0.0.1/fhir/") if relation in links else None
    return ids, targets
