"""Loading files into a store, on both engines."""

from __future__ import annotations

import gzip
import json
import os
import signal
from base64 import b64encode
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from fhir_server.bulk.load import Loaded, Manner, load
from fhir_server.bulk.preparers import Preparers
from fhir_server.bulk.source import BATCH_RESOURCES, Batch, batches, files_of
from fhir_server.errors import FhirError
from fhir_server.interactions.exchange import Server
from fhir_server.search.registry import registry_of
from fhir_server.search.reindex import Reindexer
from fhir_server.storage.query import Query, TextPrefix
from fhir_server.storage.scope import ALL

BUNDLE = {
    "resourceType": "Bundle",
    "id": "b1",
    "type": "transaction",
    "entry": [
        {
            "resource": {"resourceType": "Patient", "id": "x1", "gender": "female"},
            "request": {"method": "PUT", "url": "Patient/x1"},
        }
    ],
}
BATCH = {
    "resourceType": "Bundle",
    "type": "batch",
    "entry": [
        {"request": {"method": "GET", "url": "Patient/x1"}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
        {
            "request": {"method": "PATCH", "url": "Patient/nobody"},
            "resource": {"resourceType": "Basic", "code": {"text": "x"}},
        },
        {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient"}},
    ],
}


def patient(logical_id: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": logical_id, **elements}


def ndjson(path: Path, *resources: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(resource) + "\n" for resource in resources))
    return path


async def load_files(server: Server, *paths: Path, execute: bool = False) -> Loaded:
    # Threads do what worker processes do: the batches cross as bytes all the same.
    preparers = Preparers(lambda: ThreadPoolExecutor(2))
    found = batches(files_of(paths), limit=server.settings.max_body_bytes)
    try:
        return await load(server, found, preparers, workers=2, manner=Manner(execute=execute))
    finally:
        preparers.close()


def counts(loaded: Loaded) -> tuple[int, int, int, int]:
    return loaded.created, loaded.updated, loaded.unchanged, len(loaded.refusals)


async def version_of(server: Server, resource_type: str, logical_id: str) -> int | None:
    stored = await server.store.read(ALL, resource_type, logical_id)
    return stored.version_id if stored else None


async def test_resources_keep_their_ids_and_content(server: Server, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "a.ndjson", patient("p1", multipleBirthInteger=2), patient("p2"))
    loaded = await load_files(server, file)
    assert counts(loaded) == (2, 0, 0, 0)
    stored = await server.store.read(ALL, "Patient", "p1")
    assert stored is not None
    assert stored.body is not None
    assert json.loads(stored.body)["multipleBirthInteger"] == 2


async def test_loading_again_makes_no_new_versions(server: Server, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "a.ndjson", patient("p1"), patient("p2", gender="male"))
    await load_files(server, file)
    again = await load_files(server, file)
    assert counts(again) == (0, 0, 2, 0)
    changed = await load_files(server, ndjson(file, patient("p1", active=True), patient("p2", gender="male")))
    assert counts(changed) == (0, 1, 1, 0)
    assert [await version_of(server, "Patient", name) for name in ("p1", "p2")] == [2, 1]


async def test_the_last_of_several_with_one_id_is_current(server: Server, tmp_path: Path) -> None:
    genders = ["male", "female", "other"]
    file = ndjson(tmp_path / "a.ndjson", *(patient("p1", gender=gender) for gender in genders))
    assert counts(await load_files(server, file)) == (1, 2, 0, 0)
    stored = await server.store.read(ALL, "Patient", "p1")
    assert stored is not None
    assert (stored.version_id, json.loads(stored.body or b"")["gender"]) == (3, "other")


async def test_a_resource_without_an_id_gets_one(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"resourceType":"Patient"}')
    assert counts(await load_files(server, file)) == (1, 0, 0, 0)
    assert (await server.store.counts(ALL))["Patient"] == 1


async def test_more_than_a_batch_from_folders_and_compressed_files(server: Server, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    many = [patient(f"n{n}") for n in range(BATCH_RESOURCES + 1)]
    with gzip.open(tmp_path / "below" / "many.ndjson.gz", "wt") as file:
        file.writelines(json.dumps(resource) + "\n\n" for resource in many)
    (tmp_path / "one.json").write_text(json.dumps(patient("one"), indent=1))
    (tmp_path / "notes.txt").write_text("not a resource")
    assert counts(await load_files(server, tmp_path)) == (BATCH_RESOURCES + 2, 0, 0, 0)


async def test_refusals_name_file_line_element_and_reason(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    lines = [
        json.dumps(patient("p1", gender="man")),
        "{not json",
        '{"resourceType":"Nonsense"}',
        json.dumps(patient("p 1")),
        json.dumps(patient("p2")),
    ]
    file.write_text("\n".join(lines))
    loaded = await load_files(server, file)
    assert counts(loaded) == (1, 0, 0, 4)
    assert [(refusal.source.file, refusal.source.line) for refusal in loaded.refusals] == [
        (file, number) for number in (1, 2, 3, 4)
    ]
    first = loaded.refusals[0]
    assert first.resource == "Patient/p1"
    assert [issue.expression for issue in first.issues] == ["Patient.gender"]
    assert "male" in first.issues[0].diagnostics


async def test_bundles_are_stored_as_resources(server: Server, tmp_path: Path) -> None:
    loaded = await load_files(server, ndjson(tmp_path / "a.ndjson", BUNDLE))
    assert (counts(loaded), loaded.executed) == ((1, 0, 0, 0), 0)
    assert await version_of(server, "Bundle", "b1") == 1
    assert await version_of(server, "Patient", "x1") is None


async def test_bundles_are_carried_out_in_order_when_asked(server: Server, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "a.ndjson", patient("x1", gender="male"), BUNDLE, BATCH, patient("x2"))
    loaded = await load_files(server, file, execute=True)
    assert loaded.executed == 2
    # x1, x2 and the batch's; x1 again by the transaction. A read that finds nothing is no refusal.
    assert (loaded.created, loaded.updated) == (3, 1)
    assert await version_of(server, "Bundle", "b1") is None
    assert await version_of(server, "Patient", "x1") == 2
    assert [(refusal.source.line, refusal.resource) for refusal in loaded.refusals] == [(3, "Bundle.entry[2]")]


async def test_what_a_bundle_leaves_as_it_is_counts_as_unchanged(server: Server, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "a.ndjson", BUNDLE)
    assert counts(await load_files(server, file, execute=True)) == (1, 0, 0, 0)
    assert counts(await load_files(server, file, execute=True)) == (0, 0, 1, 0)


@pytest.mark.parametrize("damage", ["truncated", "no gzip"])
async def test_a_damaged_file_does_not_keep_others_out(server: Server, tmp_path: Path, damage: str) -> None:
    good = ndjson(tmp_path / "good", *(patient(f"p{n}") for n in range(300)))
    # The checksum at the end, 8 bytes, is missing: every line can be read.
    content = gzip.compress(good.read_bytes())[:-8] if damage == "truncated" else b"no gzip at all"
    lines = 300 if damage == "truncated" else 0
    (tmp_path / "b.ndjson.gz").write_bytes(content)
    ndjson(tmp_path / "c.ndjson", patient("last"))
    loaded = await load_files(server, tmp_path)
    assert [(refusal.source.file.name, refusal.source.line) for refusal in loaded.refusals] == [("b.ndjson.gz", lines)]
    assert await version_of(server, "Patient", "last") == 1
    assert loaded.created == lines + 1


async def test_a_large_binary_loaded_again_makes_no_new_version(server: Server, tmp_path: Path) -> None:
    def binary(content: bytes) -> dict[str, Any]:
        return {
            "resourceType": "Binary",
            "id": "letter",
            "contentType": "application/pdf",
            "data": b64encode(content).decode(),
        }

    for content, version in ((b"a" * 300_000, 1), (b"a" * 300_000, 1), (b"b" * 300_000, 2), (b"b" * 300_001, 3)):
        await load_files(server, ndjson(tmp_path / "a.ndjson", binary(content)))
        assert await version_of(server, "Binary", "letter") == version


def test_nothing_to_load_is_said(tmp_path: Path) -> None:
    with pytest.raises(FhirError, match="nothing to load"):
        files_of([tmp_path])


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    for path in (tmp_path / "a.csv", tmp_path / "missing.json"):
        with pytest.raises(FhirError):
            files_of([path])


def search_parameter(logical_id: str) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "id": logical_id,
        "url": f"http://example.org/SearchParameter/{logical_id}",
        "name": "Suffix",
        "status": "active",
        "description": "Letters after the name",
        "code": "suffix",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.suffix",
    }


async def test_what_was_prepared_before_a_search_parameter_is_indexed_by_it(server: Server, tmp_path: Path) -> None:
    """The worker processes know nothing of it: it stands between the resources they prepare."""
    people = [patient(f"p{n}", name=[{"suffix": ["MD"]}]) for n in range(1200)]
    ndjson(tmp_path / "a.ndjson", *people[:700], search_parameter("s"), *people[700:])
    loaded = await load_files(server, tmp_path)
    assert counts(loaded)[0] == 1201
    reindexer = Reindexer(server.store, "UTC", share=1.0)
    while await reindexer.run_next():
        continue
    registry = registry_of(await server.store.parameters())
    (definition,) = (one for code, one in registry.definitions("Patient").items() if code == "suffix")
    page = await server.store.search(ALL, Query("Patient", (TextPrefix(definition.p, "md"),), (), count=2000))
    assert len(page.matches) == 1200


async def test_a_search_parameter_that_clashes_refuses_no_other_resource(server: Server, tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", patient("a"), search_parameter("one"), search_parameter("two"), patient("b"))
    loaded = await load_files(server, tmp_path)
    assert [(one.source.line, one.resource, one.issues[0].code) for one in loaded.refusals] == [
        (3, "SearchParameter/two", "conflict")
    ]
    assert await version_of(server, "Patient", "a") == await version_of(server, "Patient", "b") == 1


async def test_a_resource_without_an_id_is_the_same_when_it_is_loaded_again(server: Server, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "a.ndjson", {"resourceType": "Patient"}, {"resourceType": "Patient"})
    assert counts(await load_files(server, file)) == (2, 0, 0, 0)
    assert counts(await load_files(server, file)) == (0, 0, 2, 0)
    (tmp_path / "other").mkdir()
    assert counts(await load_files(server, file.rename(tmp_path / "other" / "a.ndjson"))) == (2, 0, 0, 0)


async def test_killed_processes_are_replaced_and_nothing_is_lost(server: Server, tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", *(patient(f"n{n}") for n in range(4 * BATCH_RESOURCES)))
    started: list[ProcessPoolExecutor] = []

    def start() -> ProcessPoolExecutor:
        started.append(ProcessPoolExecutor(1, mp_context=get_context("forkserver")))
        return started[-1]

    def kill_once(batch: Batch) -> None:
        if len(started) == 1:
            for process in started[0]._processes.values():
                process.kill()

    preparers = Preparers(start)
    found = batches(files_of([tmp_path]), limit=server.settings.max_body_bytes, most=100)
    try:
        loaded = await load(server, found, preparers, workers=1, on_progress=kill_once)
    finally:
        preparers.close()
    assert (len(started), counts(loaded)) == (2, (4 * BATCH_RESOURCES, 0, 0, 0))


async def test_processes_that_are_always_killed_end_the_load(server: Server, tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", patient("a"))
    preparers = Preparers(lambda: ProcessPoolExecutor(1, mp_context=get_context("forkserver"), initializer=_fall))
    found = batches(files_of([tmp_path]), limit=server.settings.max_body_bytes)
    try:
        with pytest.raises(FhirError, match="again and again"):
            await load(server, found, preparers, workers=1)
    finally:
        preparers.close()


def _fall() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
