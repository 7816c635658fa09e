"""Searches over several types: R4 search.html#type, http.html#search (system level)."""

from __future__ import annotations

import pytest

from tests.interactions.conftest import BASE_URL, Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tagged(name: str, resource: Json) -> Json:
    return {**resource, "meta": {"tag": [{"system": "urn:x:case", "code": name}]}}


async def fill(client: Client, name: str) -> list[str]:
    """A Patient, an Observation, a Condition and a Patient again; their names in the order of their writing."""
    subject = {"reference": f"Patient/{name}-0"}
    resources: list[Json] = [
        patient(f"{name}-0"),
        {
            "resourceType": "Observation", "id": f"{name}-1", "status": "final", "code": {"coding": [{"code": name}]},
            "subject": subject, "effectiveDateTime": "2020-03-01",
        },
        {
            "resourceType": "Condition", "id": f"{name}-2", "code": {"coding": [{"code": name}]}, "subject": subject,
            "recordedDate": "2020-01-01",
        },
        patient(f"{name}-3"),
    ]  # fmt: skip
    for one in resources:
        await client.stored(tagged(name, one))
    return [f"{one['resourceType']}/{one['id']}" for one in resources]


async def names(client: Client, url: str) -> list[str]:
    answer = await client.get(url)
    assert answer.status == 200, answer.body
    return [f"{one['resourceType']}/{one['id']}" for one in answer.resources]


async def test_all_types_newest_first(client: Client, name: str) -> None:
    stored = await fill(client, name)
    assert await names(client, f"?_tag=urn:x:case|{name}") == stored[::-1]
    answer = await client.send("POST", "_search", query=[("_tag", f"urn:x:case|{name}"), ("_total", "accurate")])
    assert (answer.status, len(answer.ids), answer.resource["total"]) == (200, 4, 4)
    assert answer.link("self") == f"?_tag=urn:x:case|{name}&_total=accurate"
    for entry, one in zip(answer.entries, stored[::-1], strict=True):
        assert entry["fullUrl"] == f"{BASE_URL}/{one}"


async def test_some_types_and_what_they_have_in_common(client: Client, name: str) -> None:
    stored = await fill(client, name)
    both = "_type=Observation,Condition"
    assert await names(client, f"?{both}&patient={name}-0") == [stored[2], stored[1]]
    assert await names(client, f"?{both}&code={name}&_sort=_id") == [stored[1], stored[2]]
    assert await names(client, f"?{both}&_type=Condition&_tag={name}") == [stored[2]]
    assert await names(client, f"?_type=Patient&_id={name}-3,{name}-1") == [stored[3]]
    assert await names(client, f"?_id={name}-3,{name}-1&_sort=_lastUpdated") == [stored[1], stored[3]]
    assert await names(client, f"?{both}&patient={name}-0&_sort=patient,-_id") == [stored[2], stored[1]]


async def test_what_only_some_have_is_refused_and_what_none_has_is_named(client: Client, name: str) -> None:
    """R4 http.html#vsearch: 400 for a parameter of some of the types; search.html#errors: an unknown one is ignored."""
    await fill(client, name)
    for url in (f"?_type=Observation,Patient&code={name}", f"?_tag={name}&code={name}"):
        answer = await client.get(url)
        assert (answer.status, answer.issue["code"]) == (400, "not-supported")
        assert "'code' is not a search parameter of" in answer.issue["diagnostics"]
        unknown = await client.get(url.replace("code=", "colour="))
        assert "'colour' is not a search parameter of" in unknown.resources[-1]["issue"][0]["diagnostics"]
        assert "colour=" not in str(unknown.link("self"))
        strict = await client.get(url.replace("code=", "colour="), prefer="handling=strict")
        assert (strict.status, strict.issue["code"]) == (400, "not-supported")
    assert (await client.get("?_type=Pet")).status == 400
    assert (await client.get("?_type=Patient&_type=Observation")).status == 400


@pytest.mark.parametrize("sort", ["", "&_sort=_id", "&_sort=-_id", "&_sort=_lastUpdated", "&_sort=_tag,_id"])
async def test_pages_forward_and_back(client: Client, name: str, sort: str) -> None:
    await fill(client, name)
    url = f"?_tag=urn:x:case|{name}{sort}"
    whole = (await client.get(url)).ids
    pages = [await client.get(f"{url}&_count=1&_total=accurate")]
    await client.stored(tagged(name, patient(f"{name}-late")))
    await client.delete(f"Patient/{name}-3")
    while (following := pages[-1].link("next")) is not None:
        pages.append(await client.get(following))
    assert [page.ids for page in pages] == [[one] for one in whole]
    assert {page.resource["total"] for page in pages} == {4}
    back = [pages[-1]]
    while (previous := back[-1].link("previous")) is not None:
        back.append(await client.get(previous))
    assert [page.ids for page in back] == [[one] for one in whole[::-1]]


async def test_includes(client: Client, name: str) -> None:
    stored = await fill(client, name)
    url = f"?_type=Observation,Condition&code={name}"
    assert await names(client, f"{url}&_include=Condition:subject") == [stored[2], stored[1], stored[0]]
    assert await names(client, f"{url}&_include=*") == [stored[2], stored[1], stored[0]]
    assert set(await names(client, f"?_type=Patient,Practitioner&_id={name}-0&_revinclude=Condition:patient")) == {
        stored[0], stored[2],
    }  # fmt: skip
    refused = await client.get(f"{url}&_include=Patient:organization")
    assert refused.status == 400


async def test_last_updated_and_nothing(client: Client, name: str) -> None:
    await fill(client, name)
    assert await names(client, "?_lastUpdated=gt2000&_count=1") == [f"Patient/{name}-3"]
    assert await names(client, "?_lastUpdated=lt2000") == []
    assert await names(client, "?_type=VerificationResult") == []
    answer = await client.get("?_summary=count&_type=Patient")
    assert answer.resource["total"] >= 2
    assert (await client.get("?_type=Patient&_type=")).status == 200
    assert await names(client, f"Patient?_type=Patient&_id={name}-0") == [f"Patient/{name}-0"]
    assert await names(client, f"Patient?_type=Observation&_id={name}-0") == []
