"""A crawl through the pages of a search while others write (docs/decisions/0004).

Each match of the first page's moment is found exactly once, in the version it had then and in the order asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from fhir_server.interactions.exchange import Server
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.base import Store
from tests.interactions.conftest import Answer, Client
from tests.oracle.expressions import Json

SEARCHES = (
    "Observation?code=a",
    "Observation?code=a&subject=Patient/1",
    "Observation?code=a&_sort=-date",
    "Observation?code=a&_sort=date",
    "Observation?code=a&_sort=value-quantity,-_id",
    "Observation?code=a&_sort=-_lastUpdated",
    "Observation?code=a&_sort=_lastUpdated,_id",
    "Observation?code=a&_sort=_id",
    "Observation?code=a&_sort=value-string",
    "Observation?code=a&value-quantity=gt1&_total=accurate",
    "Observation?code:not=b&_sort=date",
    "Observation?subject:Patient.family=Miller",
    "Observation",
)
IDS = tuple(f"o{number}" for number in range(60))


@dataclass
class Ward:
    """A store, and what stands in it now."""

    client: Client
    random: Random
    current: dict[str, Json] = field(default_factory=dict)
    """id -> resource as last returned."""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    writes: int = 0

    async def write(self) -> None:
        """Create, update or delete one Observation: any of its sort values may change."""
        logical_id = self.random.choice(IDS)
        async with self.writing:
            self.writes += 1
            if logical_id in self.current and self.random.random() < 0.3:
                assert (await self.client.delete(f"Observation/{logical_id}")).status == 204
                del self.current[logical_id]
                return
            answer = await self.client.put(f"Observation/{logical_id}", self._observation(logical_id))
            assert answer.status in (200, 201), answer.body
            self.current[logical_id] = answer.resource

    def _observation(self, logical_id: str) -> Json:
        choice = self.random.choice
        value: Json = choice(
            ({}, {"valueQuantity": {"value": choice((1, 2, 2.5, 10))}}, {"valueString": choice("xyzé")})
        )
        date: Json = choice(({}, {"effectiveDateTime": choice(("2020", "2020-02-01", "2020-02", "1999-01-01"))}))
        return {
            "resourceType": "Observation",
            "id": logical_id,
            "status": "final",
            "code": {"coding": [{"code": choice("aab")}]},
            "subject": {"reference": f"Patient/{choice('12')}"},
            **value,
            **date,
        }

    def expected(self, search: str) -> dict[str, str]:
        """id -> version of what `search` finds now."""
        return {key: one["meta"]["versionId"] for key, one in self.current.items() if _matches(one, search)}


def _matches(one: Json, search: str) -> bool:
    code = one["code"]["coding"][0]["code"]
    return (
        ("code=a" not in search or code == "a")
        and ("code:not=b" not in search or code != "b")
        and ("Patient/1" not in search or one["subject"]["reference"] == "Patient/1")
        and ("Miller" not in search or one["subject"]["reference"] == "Patient/2")
        and ("gt1" not in search or one.get("valueQuantity", {}).get("value", 0) > 1)
    )


async def ward(store: Store, settings: Settings, seed: int) -> Ward:
    found = Ward(Client(Server(store, settings)), Random(seed))
    for logical_id, family in (("1", "Smith"), ("2", "Miller")):
        await found.client.stored({"resourceType": "Patient", "id": logical_id, "name": [{"family": family}]})
    for _ in range(100):
        await found.write()
    return found


@pytest.mark.parametrize(("seed", "rounds"), [(1, 1), pytest.param(2, 3, marks=pytest.mark.torture)])
async def test_a_crawl_among_writers_finds_each_match_of_its_moment_once(
    store: Store, settings: Settings, seed: int, rounds: int
) -> None:
    here = await ward(store, settings, seed)
    before, pages = here.writes, 0
    for search in SEARCHES * rounds:
        stop = asyncio.Event()

        async def write_on(stop: asyncio.Event = stop) -> None:
            while not stop.is_set():
                await here.write()

        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(write_on()) for _ in range(3)]
            try:
                pages += await crawl(here, search)
            finally:
                stop.set()
        assert all(writer.done() for writer in writers)
    assert here.writes - before >= pages - len(SEARCHES) * rounds


async def crawl(here: Ward, search: str) -> int:
    """Follow the search to its end; how many pages it had."""
    count = here.random.choice((1, 2, 3, 7, 50))
    # No write falls between what is expected and the first page.
    async with here.writing:
        expected = here.expected(search)
        answer = await here.client.get(f"{search}{'&' if '?' in search else '?'}_count={count}")
    found: list[Json] = []
    totals = set()
    pages = 0
    while True:
        pages += 1
        assert answer.status == 200, answer.body
        assert len(answer.resources) <= count
        found += answer.resources
        totals.add(answer.resource.get("total"))
        following = answer.link("next")
        if following is None:
            break
        assert len(answer.resources) == count
        # On SQLite a read does not wait, so the writers beside it would seldom have their turn.
        for _ in range(here.random.choice((1, 1, 2, 4))):
            await here.write()
        answer = await here.client.get(following)
    versions = [(one["id"], one["meta"]["versionId"]) for one in found]
    assert len(versions) == len(dict(versions)), search
    assert dict(versions) == expected, search
    assert totals == ({len(expected)} if "_total" in search else {None}), search
    assert _in_order(found, search), (search, versions)
    return pages


def _in_order(found: list[Json], search: str) -> bool:
    """By the first rule of `_sort` alone."""
    rule = search.partition("_sort=")[2].partition(",")[0]
    keys = [_key(one, rule.removeprefix("-")) for one in found if rule]
    known = [key for key in keys if key is not None]
    last = keys[: len(known)] == known  # those without a value come last
    return last and known == sorted(known, reverse=rule.startswith("-"))


def _key(one: Json, code: str) -> Any:
    match code:
        case "_id":
            return one["id"]
        case "_lastUpdated":
            return one["meta"]["lastUpdated"]
        case "date":
            return one["effectiveDateTime"].ljust(10, "-").replace("---", "-01") if "effectiveDateTime" in one else None
        case "value-quantity":
            return one.get("valueQuantity", {}).get("value")
    return one.get("valueString", "").replace("é", "e") or None


async def test_a_cursor_goes_on_after_a_restart(store: Store, settings: Settings) -> None:
    here = await ward(store, settings, 3)
    expected = set(here.expected("code=a"))
    first = await here.client.get("Observation?code=a&_count=3")
    await store.close()
    again = await open_store(settings)
    try:
        client = Client(Server(again, settings))
        found, answer = first.ids, first
        while (following := answer.link("next")) is not None:
            answer = await client.get(following)
            found += answer.ids
        assert sorted(found) == sorted(expected)
    finally:
        await again.close()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda url: url[:-10] + ("A" if url[-10] != "A" else "B") + url[-9:], id="one character"),
        pytest.param(lambda url: url[:-8], id="cut"),
        pytest.param(lambda url: url + "AAAA", id="longer"),
        pytest.param(lambda url: url.replace("_cursor=", "_cursor=AAAA"), id="shifted"),
        pytest.param(lambda url: url.replace("code=a", "code=b"), id="of another value"),
        pytest.param(lambda url: url.replace("code=a", "status=final"), id="of another parameter"),
        pytest.param(lambda url: url.replace("Observation?code=a", "Patient?"), id="of another type"),
        pytest.param(lambda url: url.replace("_sort=date", "_sort=-date"), id="of another order"),
        pytest.param(lambda url: url.partition("_cursor=")[0] + "_cursor=", id="none"),
        pytest.param(lambda url: f"{url}&{url.rpartition('&')[2]}x", id="twice"),
    ],
)
async def test_a_changed_or_foreign_cursor_is_refused(
    store: Store, settings: Settings, change: Callable[[str], str]
) -> None:
    here = await ward(store, settings, 4)
    first = await here.client.get("Observation?code=a&_sort=date&_count=2")
    following = first.link("next")
    assert following is not None
    changed = change(following)
    assert changed != following
    refused(await here.client.get(changed), 400)
    assert (await here.client.get(following)).status == 200


async def test_a_cursor_of_another_server_is_refused(
    store: Store, settings: Settings, new_database: Callable[[str], str]
) -> None:
    here = await ward(store, settings, 5)
    other_settings = Settings(database=new_database("sqlite"), content=False)
    other = await open_store(other_settings)
    try:
        there = await ward(other, other_settings, 5)
        following = (await there.client.get("Observation?code=a&_count=2")).link("next")
        assert following is not None
        refused(await here.client.get(following), 400)
    finally:
        await other.close()


async def test_an_expired_cursor_says_so(store: Store, settings: Settings) -> None:
    here = await ward(store, settings, 6)
    following = (await here.client.get("Observation?code=a&_count=1")).link("next")
    assert following is not None
    for _ in range(30):
        await here.write()
    assert await store.vacuum(0) > 0
    refused(await here.client.get(following), 410, "expired")


def refused(answer: Answer, status: int, code: str = "invalid") -> None:
    assert (answer.status, answer.issue["code"]) == (status, code), answer.body
    assert "again" in answer.issue["diagnostics"]
