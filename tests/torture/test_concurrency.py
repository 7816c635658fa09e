"""What concurrent clients must never see: two results of one conditional create, or a change hidden from `_since`."""

import asyncio
from datetime import datetime
from uuid import uuid4

import httpx
import pytest

from tests.torture.writers import SYSTEM, TIMEOUT, Written, key_of, transaction, write_until

CLIENTS = 16


@pytest.mark.parametrize("criteria", [3, pytest.param(50, marks=pytest.mark.torture)])
async def test_conditional_creates_at_once_make_one_resource(base_url, criteria):
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits(max_connections=CLIENTS)) as client:
        for _ in range(criteria):
            identifier = {"system": SYSTEM, "value": uuid4().hex}
            condition = f"identifier={identifier['system']}|{identifier['value']}"
            patient = {"resourceType": "Patient", "identifier": [identifier]}
            answers = await asyncio.gather(
                *(
                    client.post(f"{base_url}/Patient", json=patient, headers={"If-None-Exist": condition})
                    for _ in range(CLIENTS)
                )
            )
            # R4 http.html#ccreate: no match 201, one match 200 and the post is ignored.
            assert sorted(answer.status_code for answer in answers) == [200] * (CLIENTS - 1) + [201]
            found = (await client.get(f"{base_url}/Patient?{condition}")).json()
            assert len(found["entry"]) == 1


@pytest.mark.parametrize("changes", [60, pytest.param(1500, marks=pytest.mark.torture)])
async def test_overlapping_transactions_never_hide_a_change_from_since(base_url, changes):
    written = Written()
    seen: set[str] = set()
    start = datetime.fromisoformat((await latest(base_url))["lastUpdated"])
    writers_ended = asyncio.Event()

    async def follow():
        since, last = start, False
        async with httpx.AsyncClient(timeout=TIMEOUT) as client:
            while not last:
                last = writers_ended.is_set()
                since = await poll(client, base_url, since, seen)

    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        await write_until(base_url, written, lambda: len(written.acknowledged) >= changes, writers=8)
        writers_ended.set()
    assert {key for keys in written.acknowledged.values() for key in keys} <= seen


async def latest(base_url):
    """meta of a resource written now: where following starts."""
    async with httpx.AsyncClient(timeout=TIMEOUT) as client:
        answer = await client.post(base_url, json=transaction(uuid4().hex))
        key = key_of(answer.json()["entry"][0]["response"]["location"])
        return (await client.get(f"{base_url}/{key}")).json()["meta"]


async def poll(client, base_url, since, seen):
    """Add the keys of all changes since then to `seen`; the newest change's time, from which to go on."""
    newest = since
    url = f"{base_url}/_history?_count=200&_since={since.isoformat().replace('+00:00', 'Z')}"
    while url:
        page = (await client.get(url)).json()
        for entry in page.get("entry", []):
            resource = entry["resource"]
            seen.add(f"{resource['resourceType']}/{resource['id']}")
            newest = max(newest, datetime.fromisoformat(resource["meta"]["lastUpdated"]))
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return newest
