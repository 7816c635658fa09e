"""Loading shipped content and the demo into a store: no needless versions, no lost local edits. Both engines."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server import content
from fhir_server.content import load_content, load_demo, shipped_resources
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.model.json import parse
from fhir_server.model.nhs_number import is_valid
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import Query
from fhir_server.storage.scope import ALL

OKS = ("Questionnaire", "oks-1.0.0-neutral")


async def read(server: Server, key: tuple[str, str] = OKS) -> StoredVersion:
    version = await server.store.read(ALL, *key)
    assert version is not None
    return version


def body(version: StoredVersion) -> dict[str, Any]:
    assert version.body is not None
    return parse(version.body, max_depth=100)


async def put(server: Server, resource: dict[str, Any]) -> None:
    draft = prepare_for(server, resource, resource["id"])

    async def work(transaction: Transaction) -> None:
        await transaction.put(draft)

    await server.store.write(ALL, work)


async def delete(server: Server, key: tuple[str, str]) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.delete(*key)

    await server.store.write(ALL, work)


async def test_everything_shipped_is_stored_once(server: Server) -> None:
    shipped = shipped_resources(server.settings.canonical_base)
    first = await load_content(server)
    assert (first.created, first.updated, first.unchanged, first.local) == (len(shipped), 0, 0, 0)
    again = await load_content(server)
    assert (again.created, again.updated, again.unchanged, again.local) == (0, 0, len(shipped), 0)
    for resource in shipped:
        version = await read(server, (resource["resourceType"], resource["id"]))
        stored = body(version)
        assert version.version_id == 1
        assert {**stored, "meta": None} == {**resource, "meta": None}


async def test_the_canonical_base_is_a_setting(server: Server) -> None:
    server.settings.canonical_base = "https://fhir.example.nhs.uk/msk"
    await load_content(server)
    assert body(await read(server))["url"] == "https://fhir.example.nhs.uk/msk/Questionnaire/oks"


async def test_a_local_edit_stays(server: Server) -> None:
    await load_content(server)
    edited = {**body(await read(server)), "title": "Ours"}
    await put(server, edited)
    assert (await load_content(server)).local == 1
    assert body(await read(server))["title"] == "Ours"


async def test_a_resource_of_the_same_id_that_was_here_first_stays(server: Server) -> None:
    await put(server, {"resourceType": "Questionnaire", "id": OKS[1], "status": "draft"})
    assert (await load_content(server)).local == 1
    assert body(await read(server))["status"] == "draft"


async def test_a_local_deletion_stays(server: Server) -> None:
    await load_content(server)
    await delete(server, OKS)
    assert (await load_content(server)).local == 1
    assert (await read(server)).body is None


async def test_a_further_tag_is_no_edit(server: Server) -> None:
    await load_content(server)
    tagged = body(await read(server))
    tagged["meta"]["tag"].append({"system": "https://example.org/tags", "code": "reviewed"})
    await put(server, tagged)
    assert (await load_content(server)).local == 0


async def test_a_newer_release_replaces_what_was_shipped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await load_content(server)
    (newer,) = (resource for resource in shipped_resources(server.settings.canonical_base) if resource["id"] == OKS[1])
    del newer["meta"]
    newer["title"] = "Newer"
    monkeypatch.setattr(content, "_read_files", lambda _: iter([newer]))
    result = await load_content(server)
    assert (result.created, result.updated, result.local) == (0, 1, 0)
    stored = await read(server)
    assert (stored.version_id, body(stored)["title"]) == (2, "Newer")
    assert (await load_content(server)).unchanged == 1


async def test_twelve_demo_patients_with_plans_and_scores(server: Server) -> None:
    stored = await load_demo(server)
    counts = await server.store.counts(ALL)
    # one patient's answers raise a safety alert: a Flag and a Task that the demo does not have itself
    assert sum(counts.values()) == stored + 2
    assert (counts["Patient"], counts["CarePlan"], counts["Flag"]) == (12, 12, 1)
    patients = [body(match) for match in (await server.store.search(ALL, Query("Patient"))).matches]
    assert all(is_valid(patient["identifier"][0]["value"]) for patient in patients)
    assert any(not patient["name"][0]["family"].isascii() for patient in patients)


async def test_a_demo_score_is_the_sum_of_the_answers(server: Server) -> None:
    """José's baseline: the first item at level 3, eleven at level 2."""
    await load_demo(server)
    observations = [body(match) for match in (await server.store.search(ALL, Query("Observation", count=100))).matches]
    (score,) = (found for found in observations if found["subject"] == {"reference": "Patient/demo-2"})
    assert score["valueQuantity"]["value"] == 3 + 11 * 2
    response = await read(server, ("QuestionnaireResponse", score["derivedFrom"][0]["reference"].partition("/")[2]))
    assert body(response)["questionnaire"].endswith("/Questionnaire/oks|1.0.0-neutral")


async def test_every_reference_of_the_demo_is_to_something_stored(server: Server) -> None:
    await load_demo(server)
    for resource_type in await server.store.counts(ALL):
        page = await server.store.search(ALL, Query(resource_type, count=1000))
        for match in page.matches:
            for reference in _references(body(match)):
                assert (await read(server, tuple(reference.split("/", 1)))).body is not None, reference  # type: ignore[arg-type]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [found for element in value.values() for found in _references(element)]
    if isinstance(value, list):
        return [found for element in value for found in _references(element)]
    return []


@pytest.mark.parametrize("gone", [False, True])
async def test_the_demo_is_stored_once_even_when_deleted(server: Server, gone: bool) -> None:
    await load_demo(server)
    if gone:
        await delete(server, ("Patient", "demo-1"))
    assert await load_demo(server) == 0
    assert (await read(server, ("Patient", "demo-2"))).version_id == 1


async def test_a_search_parameter_whose_code_is_taken_is_left_out(server: Server) -> None:
    """The owner's stays; the server starts, and takes the shipped one when the owner's is gone."""
    own = {
        "resourceType": "SearchParameter",
        "id": "ours",
        "url": "http://example.org/SearchParameter/ours",
        "name": "Ours",
        "status": "active",
        "description": "Due",
        "code": "due",
        "base": ["Task"],
        "type": "date",
        "expression": "Task.executionPeriod",
    }
    await put(server, own)
    await refresh(server)
    shipped = shipped_resources(server.settings.canonical_base)
    first = await load_content(server)
    assert (first.created, first.refused) == (len(shipped) - 1, 1)
    assert server.registry.url("Task", "due") == own["url"]
    assert server.registry.definitions("Task")["output"]
    await delete(server, ("SearchParameter", "ours"))
    second = await load_content(server)
    assert (second.created, second.refused) == (1, 0)
    assert server.registry.url("Task", "due") == "https://fhir.example.org/msk/SearchParameter/Task-due"
