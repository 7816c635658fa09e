"""Conditions about lists, value sets and hierarchies: by what is stored when it is written (R4 http.html#ccreate)."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.interactions.conftest import Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")

SYSTEM = "http://test.example/conditions"


def condition(logical_id: str, code: str, **elements: object) -> Json:
    subject = {"subject": {"reference": "Patient/knowledge-1"}}
    return {
        "resourceType": "Condition", "id": logical_id, "code": {"coding": [{"system": SYSTEM, "code": code}]}
    } | subject | elements  # fmt: skip


def code_system(content: str = "complete", url: str = SYSTEM, logical_id: str = "knowledge-system") -> Json:
    concepts = [{"code": "pain", "concept": [{"code": "back"}, {"code": "knee"}]}, {"code": "gout"}]
    return {
        "resourceType": "CodeSystem", "id": logical_id, "url": url, "status": "active", "content": content,
        "hierarchyMeaning": "is-a", "concept": concepts,
    }  # fmt: skip


def value_set(logical_id: str, *codes: str, url: str = SYSTEM) -> Json:
    include = {"system": url, "concept": [{"code": code} for code in codes]} if codes else {"system": url}
    return {
        "resourceType": "ValueSet", "id": logical_id, "url": f"http://test.example/ValueSet/{logical_id}",
        "status": "active", "compose": {"include": [include]},
    }  # fmt: skip


def list_of(*references: str) -> Json:
    entries = [{"item": {"reference": one}} for one in references]
    return {"resourceType": "List", "id": "knowledge", "status": "current", "mode": "working", "entry": entries}


@pytest_asyncio.fixture(loop_scope="module")
async def stored(client: Client) -> Client:
    for one in await ids(client, "Condition?_count=100"):
        await client.delete(f"Condition/{one}")
    for resource in (
        patient("knowledge-1"),
        patient("knowledge-2"),
        code_system(),
        value_set("knowledge", "back", "knee"),
        list_of("Patient/knowledge-1"),
        condition("knowledge-back", "back"),
        condition("knowledge-gout", "gout"),
    ):
        await client.stored(resource)
    return client


async def ids(client: Client, search: str) -> list[str]:
    return sorted((await client.get(search)).ids)


async def test_a_create_by_a_list(stored: Client) -> None:
    """One match: it is the answer, and nothing is created."""
    answer = await stored.post("Patient", patient(), if_none_exist="_list=knowledge")
    assert (answer.status, answer.id) == (200, "knowledge-1")


async def test_an_update_by_a_value_set(stored: Client) -> None:
    url = "Condition?code:in=http://test.example/ValueSet/knowledge"
    changed = condition("knowledge-back", "back", note=[{"text": "changed"}])
    answer = await stored.put(url, changed)
    assert (answer.status, answer.id, answer.resource["meta"]["versionId"] != "1") == (200, "knowledge-back", True)
    await stored.stored(condition("knowledge-knee", "knee"))
    assert (await stored.put(url, changed)).status == 412


async def test_a_patch_and_a_delete_by_a_hierarchy_of_codes(stored: Client) -> None:
    url = f"Condition?code:below={SYSTEM}|pain"
    patched = await stored.patch(url, [{"op": "add", "path": "/recordedDate", "value": "2026-01-01"}])
    assert (patched.status, patched.id) == (200, "knowledge-back")
    assert (await stored.delete(f"Condition?code:above={SYSTEM}|gout")).status == 204
    assert await ids(stored, "Condition?_count=100") == ["knowledge-back"]


async def test_a_delete_by_what_is_not_in_a_value_set(stored: Client) -> None:
    assert (await stored.delete("Condition?code:not-in=ValueSet/knowledge")).status == 204
    assert await ids(stored, "Condition?_count=100") == ["knowledge-back"]


async def test_a_delete_by_a_hierarchy_of_resources(stored: Client) -> None:
    for name, whole in (("knowledge-site", ""), ("knowledge-ward", "knowledge-site")):
        part = {"partOf": {"reference": f"Location/{whole}"}} if whole else {}
        await stored.stored({"resourceType": "Location", "id": name, "name": name} | part)
    encounter = {
        "resourceType": "Encounter", "id": "knowledge-e", "status": "planned",
        "class": {"code": "AMB"}, "location": [{"location": {"reference": "Location/knowledge-ward"}}],
    }  # fmt: skip
    await stored.stored(encounter)
    assert (await stored.delete("Encounter?location:below=knowledge-site")).status == 204
    assert (await stored.get("Encounter/knowledge-e")).status == 410


async def test_a_transaction_sees_what_it_wrote_itself(stored: Client) -> None:
    """The list is written by the same Bundle as what is conditional on it (R4 http.html#trules)."""
    observation = {
        "resourceType": "Observation", "status": "final", "code": {"text": "o"},
        "subject": {"reference": "Patient?_list=knowledge"},
    }  # fmt: skip
    entries = [
        {"resource": list_of("Patient/knowledge-2"), "request": {"method": "PUT", "url": "List/knowledge"}},
        {"resource": observation, "request": {"method": "POST", "url": "Observation"}},
    ]
    answer = await stored.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 200, answer.body
    made = answer.entries[1]["response"]["location"].partition("/_history")[0]
    assert (await stored.get(made)).resource["subject"] == {"reference": "Patient/knowledge-2"}


@pytest.mark.parametrize(
    ("criteria", "code"),
    [
        ("code:in=http://test.example/ValueSet/none", "not-found"),
        (f"code:below={SYSTEM}|none", "not-found"),
        ("code:in=http://test.example/ValueSet/partly", "invalid"),
        ("code:not-in=http://test.example/ValueSet/partly", "invalid"),
        ("_list=$current-problems", "not-supported"),
    ],
)
async def test_what_is_not_settled_is_refused_and_nothing_is_written(stored: Client, criteria: str, code: str) -> None:
    """A part of a code system may leave codes out: what rests on it would be a guess."""
    await stored.stored(code_system("fragment", f"{SYSTEM}-part", "knowledge-part"))
    await stored.stored(value_set("partly", url=f"{SYSTEM}-part"))
    before = await ids(stored, "Condition?_count=100")
    for answer in (
        await stored.post("Condition", {**condition("knowledge-new", "back")}, if_none_exist=criteria),
        await stored.put(f"Condition?{criteria}", condition("knowledge-new", "back")),
        await stored.delete(f"Condition?{criteria}"),
    ):
        assert (answer.status, answer.issue["code"]) == (400, code), answer.body
    assert await ids(stored, "Condition?_count=100") == before


@pytest.mark.parametrize("modifier", ["in", "not-in"])
async def test_a_search_says_that_its_codes_are_a_part(stored: Client, modifier: str) -> None:
    """R4 valueset.html#expansion: that a fragment was used is to be said; search.html#errors: in an outcome entry."""
    await stored.stored(code_system("fragment", f"{SYSTEM}-part", "knowledge-part"))
    await stored.stored(value_set("partly", url=f"{SYSTEM}-part"))
    answer = await stored.get(f"Condition?code:{modifier}=ValueSet/partly")
    outcomes = [entry["resource"] for entry in answer.entries if entry["search"]["mode"] == "outcome"]
    assert [(one["severity"], one["code"]) for one in outcomes[0]["issue"]] == [("warning", "incomplete")]
    assert "fragment" in outcomes[0]["issue"][0]["diagnostics"]
    whole = await stored.get("Condition?code:in=ValueSet/knowledge")
    assert {entry["search"]["mode"] for entry in whole.entries} == {"match"}
