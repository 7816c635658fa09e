"""delete, conditional delete, vread and history: R4 http.html#delete, #vread, #history, bundle.html#history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from fhir_server.interactions.exchange import Server
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from tests.interactions.conftest import BASE_URL, SYSTEM, Client, Json, numbered, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def versions(client: Client, name: str, count: int) -> list[datetime]:
    """A Patient with `count` versions; the times of each, oldest first."""
    times = []
    for n in range(count):
        answer = await client.stored(patient(name, multipleBirthInteger=n + 1))
        times.append(datetime.fromisoformat(answer.resource["meta"]["lastUpdated"]))
    return times


def instant(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def numbers(bundle: list[Json]) -> list[str]:
    """The version of each entry, from its ETag."""
    return [entry["response"]["etag"].removeprefix('W/"').removesuffix('"') for entry in bundle]


def places(bundle: list[Json]) -> list[str]:
    """Type/id of each entry."""
    return [entry["fullUrl"].removeprefix(f"{BASE_URL}/") for entry in bundle]


async def pages(client: Client, url: str) -> list[list[Json]]:
    """The entries of each page from `url` on."""
    found = []
    following: str | None = url
    while following is not None:
        page = await client.get(following)
        assert page.status == 200, page.body
        found.append(page.entries)
        following = page.link("next")
    return found


class TestDelete:
    async def test_then_the_resource_is_gone(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        answer = await client.delete(f"Patient/{name}")
        assert (answer.status, answer.body, answer.headers["ETag"]) == (204, b"", 'W/"2"')
        read = await client.get(f"Patient/{name}")
        assert (read.status, read.issue["code"], read.headers["ETag"]) == (410, "deleted", 'W/"2"')
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}")).ids == []

    async def test_leaves_the_versions(self, client: Client, name: str) -> None:
        await client.stored(patient(name, active=True))
        await client.delete(f"Patient/{name}")
        assert (await client.get(f"Patient/{name}/_history/1")).resource["active"] is True
        assert (await client.get(f"Patient/{name}/_history/2")).status == 410
        assert (await client.get(f"Patient/{name}/_history/3")).status == 404

    async def test_of_what_is_gone_changes_nothing(self, client: Client, name: str) -> None:
        """R4: deleting a deleted resource has no effect and succeeds."""
        await client.stored(patient(name))
        await client.delete(f"Patient/{name}")
        again = await client.delete(f"Patient/{name}")
        assert (again.status, again.headers["ETag"]) == (204, 'W/"2"')
        assert numbers((await client.get(f"Patient/{name}/_history")).entries) == ["2", "1"]

    async def test_of_what_never_was(self, client: Client, name: str) -> None:
        """R4 http.html#delete: "or if the resource does not exist at all": 204 as well."""
        assert (await client.delete(f"Patient/{name}")).status == 204
        assert (await client.delete(f"Patient/{name}", if_match='W/"1"')).status == 412
        assert (await client.get(f"Patient/{name}")).status == 404

    async def test_with_a_stale_if_match_is_refused(self, client: Client, name: str) -> None:
        await versions(client, name, 2)
        assert (await client.delete(f"Patient/{name}", if_match='W/"1"')).status == 412
        assert (await client.delete(f"Patient/{name}", if_match='W/"2"')).status == 204

    async def test_can_answer_an_outcome(self, client: Client, name: str) -> None:
        """R4: 200 when the answer has a body."""
        await client.stored(patient(name))
        answer = await client.delete(f"Patient/{name}", prefer="return=OperationOutcome")
        assert (answer.status, answer.issue["severity"]) == (200, "information")

    async def test_an_update_brings_it_back(self, client: Client, name: str) -> None:
        await client.stored(patient(name))
        await client.delete(f"Patient/{name}")
        answer = await client.put(f"Patient/{name}", patient(name, active=True))
        assert (answer.status, answer.headers["ETag"]) == (201, 'W/"3"')
        assert (await client.get(f"Patient/{name}")).status == 200
        assert (await client.get(f"Patient/{name}/_history/2")).status == 410


class TestConditionalDelete:
    """R4 http.html#3.1.0.7.1: CapabilityStatement.conditionalDelete is `single`."""

    async def test_deletes_the_one_match(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        assert (await client.delete(f"Patient?identifier={SYSTEM}|{name}")).status == 204
        assert (await client.get(f"Patient/{name}")).status == 410

    async def test_without_a_match(self, client: Client, name: str) -> None:
        """R4 http.html#3.1.0.7.1: none or one match is an ordinary delete."""
        assert (await client.delete(f"Patient?identifier={SYSTEM}|{name}")).status == 204

    async def test_of_several_is_refused(self, client: Client, name: str) -> None:
        ids = [(await client.post("Patient", numbered(name))).id for _ in range(2)]
        answer = await client.delete(f"Patient?identifier={SYSTEM}|{name}")
        assert (answer.status, answer.issue["code"]) == (412, "multiple-matches")
        assert [(await client.get(f"Patient/{one}")).status for one in ids] == [200, 200]

    @pytest.mark.parametrize("query", ["", "?", "?identifier=", "?nonsense=1", "?_count=1", "?name=,"])
    async def test_refuses_criteria_that_do_not_select(self, client: Client, name: str, query: str) -> None:
        await client.stored(patient(name))
        assert (await client.delete(f"Patient{query}")).status == 400
        assert (await client.get(f"Patient/{name}")).status == 200


class TestVread:
    async def test_gives_each_version_as_it_was(self, client: Client, name: str) -> None:
        await versions(client, name, 3)
        for number in (1, 2, 3):
            answer = await client.get(f"Patient/{name}/_history/{number}")
            assert (answer.status, answer.headers["ETag"]) == (200, f'W/"{number}"')
            assert answer.resource["multipleBirthInteger"] == number
            assert answer.resource["meta"]["versionId"] == str(number)

    @pytest.mark.parametrize("version", ["0", "2", "01x", "-1", "99999999999999999999", "٣"])
    async def test_of_what_is_no_version(self, client: Client, name: str, version: str) -> None:
        await versions(client, name, 1)
        assert (await client.get(f"Patient/{name}/_history/{version}")).status == 404


class TestInstanceHistory:
    async def test_newest_first_with_what_happened(self, client: Client) -> None:
        """bundle.html: request and response are there; a deletion has no resource (http.html#history)."""
        own = (await client.post("Patient", patient())).id
        await client.stored(patient(own, active=True))
        await client.delete(f"Patient/{own}")
        await client.stored(patient(own, active=False))
        answer = await client.get(f"Patient/{own}/_history")
        assert (answer.status, answer.resource["type"], answer.resource["total"]) == (200, "history", 4)
        assert [entry["request"] for entry in answer.entries] == [
            {"method": "POST", "url": "Patient"},
            {"method": "DELETE", "url": f"Patient/{own}"},
            {"method": "PUT", "url": f"Patient/{own}"},
            {"method": "POST", "url": "Patient"},
        ]
        assert [entry["response"]["status"][:3] for entry in answer.entries] == ["201", "204", "200", "201"]
        assert numbers(answer.entries) == ["4", "3", "2", "1"]
        assert ["resource" in entry for entry in answer.entries] == [True, False, True, True]
        assert {entry["fullUrl"] for entry in answer.entries} == {f"{BASE_URL}/Patient/{own}"}

    async def test_each_entry_is_its_vread(self, client: Client, name: str) -> None:
        await versions(client, name, 2)
        for entry in (await client.get(f"Patient/{name}/_history")).entries:
            number = entry["resource"]["meta"]["versionId"]
            assert entry["resource"] == (await client.get(f"Patient/{name}/_history/{number}")).resource
            assert entry["response"]["lastModified"] == entry["resource"]["meta"]["lastUpdated"]

    async def test_of_what_never_was(self, client: Client, name: str) -> None:
        assert (await client.get(f"Patient/{name}/_history")).status == 404

    async def test_since_includes_its_instant(self, client: Client, name: str) -> None:
        """R4: versions created at or after the given instant."""
        times = await versions(client, name, 3)
        found = await client.get(f"Patient/{name}/_history?_since={instant(times[1])}")
        assert numbers(found.entries) == ["3", "2"]
        later = instant(times[2] + timedelta(microseconds=1))
        nothing = await client.get(f"Patient/{name}/_history?_since={later}")
        assert (nothing.status, nothing.entries, nothing.resource["total"]) == (200, [], 0)

    async def test_since_understands_offsets(self, client: Client, name: str) -> None:
        times = await versions(client, name, 2)
        there = (times[1] + timedelta(hours=5, minutes=30)).replace(tzinfo=None).isoformat()
        found = await client.get(f"Patient/{name}/_history?_since={there}%2B05:30")
        assert numbers(found.entries) == ["2"]

    async def test_at_gives_what_was_current_then(self, client: Client, name: str) -> None:
        """R4: versions that were current at some point during the period."""
        times = await versions(client, name, 3)
        at_second = await client.get(f"Patient/{name}/_history?_at={instant(times[1])}")
        assert numbers(at_second.entries) == ["2"]
        just_before = instant(times[2] - timedelta(microseconds=1))
        assert numbers((await client.get(f"Patient/{name}/_history?_at={just_before}")).entries) == ["2"]
        before_all = instant(times[0] - timedelta(days=2))
        assert (await client.get(f"Patient/{name}/_history?_at={before_all}")).entries == []
        year = await client.get(f"Patient/{name}/_history?_at={times[0].year}")
        assert numbers(year.entries)[-1] == "1"

    async def test_pages_hold_every_version_once(self, client: Client, name: str) -> None:
        await versions(client, name, 5)
        found = await pages(client, f"Patient/{name}/_history?_count=2")
        assert [numbers(page) for page in found] == [["5", "4"], ["3", "2"], ["1"]]

    async def test_pages_stay_as_they_were(self, client: Client, name: str) -> None:
        await versions(client, name, 3)
        first = await client.get(f"Patient/{name}/_history?_count=1")
        await client.stored(patient(name, active=True))
        following = first.link("next")
        assert following is not None
        rest = await pages(client, following)
        assert [numbers(page) for page in rest] == [["2"], ["1"]]
        assert first.resource["total"] == 3

    @pytest.mark.parametrize(
        "query", ["_since=yesterday", "_at=x", "_count=-1", "_count=a", "name=x", "_count=1&_count=2"]
    )
    async def test_refuses_what_it_does_not_understand(self, client: Client, name: str, query: str) -> None:
        await client.stored(patient(name))
        assert (await client.get(f"Patient/{name}/_history?{query}")).status == 400

    async def test_a_cursor_of_another_history_is_refused(self, client: Client, name: str) -> None:
        await versions(client, name, 2)
        await versions(client, f"{name}-2", 2)
        following = (await client.get(f"Patient/{name}/_history?_count=1")).link("next")
        assert following is not None
        assert (await client.get(following.replace(name, f"{name}-2"))).status == 400


class TestTypeAndSystemHistory:
    @pytest.fixture
    async def own(self, engine: str, new_database: Callable[[str], str]) -> Any:
        """A client of a store with nothing else in it."""
        settings = Settings(database=new_database(engine), content=False)
        store = await open_store(settings)
        yield Client(Server(store, settings))
        await store.close()

    @pytest.mark.asyncio(loop_scope="function")
    async def test_tell_of_all_in_the_order_of_writing(self, own: Client) -> None:
        await own.stored(patient("a"))
        await own.stored({"resourceType": "Organization", "id": "o", "name": "Clinic"})
        await own.stored(patient("b"))
        await own.delete("Patient/a")
        for url, wanted in (
            ("_history", ["Patient/a", "Patient/b", "Organization/o", "Patient/a"]),
            ("Patient/_history", ["Patient/a", "Patient/b", "Patient/a"]),
            ("Group/_history", []),
        ):
            answer = await own.get(url)
            assert (answer.status, answer.resource["total"]) == (200, len(wanted))
            assert places(answer.entries) == wanted
            assert [entry["request"]["method"] for entry in answer.entries[:1]] == ["DELETE"][: len(wanted)]
        paged = await pages(own, "_history?_count=3")
        assert list(map(places, paged)) == [["Patient/a", "Patient/b", "Organization/o"], ["Patient/a"]]
        counted = await own.get("Patient/_history?_count=0")
        assert (counted.resource["total"], counted.entries) == (3, [])

    async def test_since_narrows_it(self, client: Client, name: str) -> None:
        stored = [await client.stored(patient(f"{name}-{n}")) for n in range(3)]
        since = stored[1].resource["meta"]["lastUpdated"]
        found = await client.get(f"Patient/_history?_since={since}")
        assert places(found.entries) == [f"Patient/{name}-2", f"Patient/{name}-1"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    @pytest.mark.parametrize("path", ["_history", "Patient/_history", "Patient/1/_history", "Patient/1/_history/1"])
    async def test_is_only_read(self, client: Client, method: str, path: str) -> None:
        answer = await client.send(method, path, patient())
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
