"""Backups of each engine, restored into each: docs/backup.md."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fhir_server.bulk.backup import MANIFEST, backup, restore, verify
from fhir_server.errors import BusinessRule
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.router import dispatch
from fhir_server.search.extract import extract
from fhir_server.search.registry import registry_of
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from tests.conftest import ENGINES

Json = dict[str, Any]
ZONE = "Europe/London"
CONTENT = bytes(range(256)) * 8000
"""Two megabytes: kept beside the body, in chunks."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Server]:
    settings = Settings(database=url)
    store = await open_store(settings)
    try:
        server = Server(store, settings)
        await refresh(server)
        yield server
    finally:
        await store.close()


async def ask(server: Server, method: str, path: str, body: bytes | Json = b"", **headers: str) -> Response:
    path, _, query = path.partition("?")
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/fhir+json", **headers}
    request = Request(method, path, pairs, headers=given, body=content, base_url="http://test.example/fhir")  # type: ignore[arg-type]
    return await dispatch(server, request)


async def fill(server: Server) -> None:
    """Several versions, a deletion, something come back, contained resources, content outside of the body."""
    for number in range(3):
        await ask(server, "PUT", "Patient/p", {"resourceType": "Patient", "id": "p", "birthDate": f"197{number}-01-01"})
    await ask(server, "PUT", "Patient/gone", {"resourceType": "Patient", "id": "gone"})
    await ask(server, "DELETE", "Patient/gone")
    for _ in range(2):
        await ask(server, "PUT", "Patient/back", {"resourceType": "Patient", "id": "back", "gender": "female"})
        await ask(server, "DELETE", "Patient/back")
    await ask(server, "PUT", "Patient/back", {"resourceType": "Patient", "id": "back", "gender": "female"})
    for text in ("one", "two"):
        request = {
            "resourceType": "MedicationRequest",
            "id": "m",
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/p"},
            "contained": [{"resourceType": "Medication", "id": "c", "code": {"text": text}}],
            "medicationReference": {"reference": "#c"},
        }
        await ask(server, "PUT", "MedicationRequest/m", request)
    await ask(server, "PUT", "Binary/b", CONTENT, **{"content-type": "application/octet-stream"})


async def seen(server: Server) -> list[Any]:
    """What a client sees of all that `fill` wrote."""
    found: list[Any] = []
    for path in (
        "Patient/p/_history",
        "Patient/gone/_history",
        "Patient/back/_history",
        "Patient?birthdate=1972",
        "Patient?gender=female",
        "MedicationRequest?medication.code:text=two",
        "MedicationRequest?patient=Patient/p",
        "_history?_count=1000",
    ):
        answer = await ask(server, "GET", path)
        assert isinstance(answer.body, bytes)
        bundle = json.loads(answer.body)
        found.append(
            [bundle.get("total"), [one.get("resource", one.get("request")) for one in bundle.get("entry", ())]]
        )
    binary = await ask(server, "GET", "Binary/b", accept="application/octet-stream")
    content = binary.body if isinstance(binary.body, bytes) else b"".join([part async for part in binary.body])
    assert content == CONTENT
    return [*found, await server.store.counts(Request("GET", "").scope), await server.store.secret("cursor")]


async def findings(server: Server) -> list[str]:
    registry = registry_of(await server.store.parameters())
    check = server.store.check(lambda body: extract(json.loads(body), ZONE, registry))
    return [f"{one.resource}: {one.kind}: {one.detail}" async for one in check]


def nothing(done: int, total: int) -> None:
    """Nobody watches."""


@pytest.fixture
async def filled(engine: str, new_stocked_database: Callable[[str], str]) -> AsyncIterator[Server]:
    async with opened(new_stocked_database(engine)) as server:
        await fill(server)
        yield server


@pytest.mark.parametrize("other", ENGINES)
async def test_everything_comes_back_on_either_engine(
    filled: Server, other: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    manifest = await backup(filled.store, tmp_path / "backup", nothing)
    before = await seen(filled)
    # What is written later is not in it.
    await ask(filled, "PUT", "Patient/later", {"resourceType": "Patient", "id": "later"})
    assert verify(tmp_path / "backup") == manifest
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "backup").iterdir()} == {0o600}
    async with opened(new_database(other)) as restored:
        await restore(restored.store, tmp_path / "backup", ZONE, nothing)
        await refresh(restored)
        assert await seen(restored) == before
        assert await findings(restored) == []
        # It goes on where it was: the next version follows the last.
        written = await ask(restored, "PUT", "Patient/p", {"resourceType": "Patient", "id": "p", "active": True})
        assert written.headers["ETag"] == 'W/"4"'
        with pytest.raises(BusinessRule, match="new, empty one"):
            await restore(restored.store, tmp_path / "backup", ZONE, nothing)


async def test_writers_go_on_meanwhile(engine: str, new_database: Callable[[str], str], tmp_path: Path) -> None:
    """What was acknowledged before it began is in it, and what is in it holds together."""
    async with opened(new_database(engine)) as server:
        await fill(server)

        async def write(writer: int) -> None:
            for number in range(60):
                device = {"resourceType": "Device", "id": f"d{writer}-{number % 20}", "lotNumber": str(number)}
                await ask(server, "PUT", f"Device/{device['id']}", device)

        await write(0)
        made = backup(server.store, tmp_path / "backup", nothing)
        manifest, *_ = await asyncio.gather(made, *(write(number) for number in range(3)))
    async with opened(new_database("sqlite")) as restored:
        await restore(restored.store, tmp_path / "backup", ZONE, nothing)
        await refresh(restored)
        assert await findings(restored) == []
        first = await ask(restored, "GET", "Device/d0-19/_history")
        assert isinstance(first.body, bytes)
        assert json.loads(first.body)["total"] >= 3
    assert manifest.resources >= 60


def flipped(folder: Path) -> None:
    piece = folder / "versions.00001.zst"
    content = bytearray(piece.read_bytes())
    content[len(content) // 2] ^= 1
    piece.write_bytes(content)


def cut(folder: Path) -> None:
    piece = folder / "versions.00001.zst"
    piece.write_bytes(piece.read_bytes()[:-1])


def missing(folder: Path) -> None:
    (folder / "versions.00001.zst").unlink()


def without_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def of_the_future(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 2}))


def half_a_manifest(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps({"format": manifest["format"]}))


@pytest.mark.parametrize("damage", [flipped, cut, missing, without_manifest, of_the_future, half_a_manifest])
async def test_a_damaged_backup_is_refused_before_anything_is_written(
    new_database: Callable[[str], str], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with opened(new_database("sqlite")) as server:
        await ask(server, "PUT", "Patient/p", {"resourceType": "Patient", "id": "p"})
        await backup(server.store, tmp_path / "backup", nothing)
        with pytest.raises(BusinessRule, match="exists"):
            await backup(server.store, tmp_path / "backup", nothing)
    damage(tmp_path / "backup")
    async with opened(new_database("sqlite")) as empty:
        with pytest.raises(BusinessRule):
            await restore(empty.store, tmp_path / "backup", ZONE, nothing)
        assert (await ask(empty, "PUT", "Patient/p", {"resourceType": "Patient", "id": "p"})).status == 201


async def test_a_database_whose_restore_was_cut_off_is_not_served(
    engine: str, new_database: Callable[[str], str]
) -> None:
    url = new_database(engine)
    async with opened(url) as server:
        await server.store.backups.begin()
    with pytest.raises(BusinessRule, match="has not ended"):
        async with opened(url):
            """Never open."""
