"""A large load puts the largest indexes off and makes them at the end (docs/decisions/0014)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_server.bulk.load import load
from fhir_server.bulk.preparers import Preparers
from fhir_server.bulk.source import batches
from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.search.extract import extract
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.put_off import SMALLEST, index_put_off
from fhir_server.storage.sql import put_off as rules


def settings_for(url: str) -> Settings:
    return Settings(database=url, content=False)


def write(folder: Path, start: int, many: int) -> Path:
    file = folder / f"{start}.ndjson"
    with file.open("wb") as out:
        for n in range(start, start + many):
            patient: dict[str, Any] = {
                "resourceType": "Patient",
                "id": f"p{n}",
                "gender": "male" if n % 2 else "female",
                "name": [{"family": f"Smithson{n}"}],
            }
            out.write(msgspec.json.encode(patient) + b"\n")
    return file


async def load_into(settings: Settings, file: Path, *, size: int = SMALLEST) -> bool:
    """Whether the index was put off for it."""
    preparers = Preparers(lambda: ThreadPoolExecutor(1))
    try:
        async with index_put_off(settings, size) as put_off:
            store = await open_store(settings, loading=put_off)
            try:
                await load(Server(store, settings), batches([file], limit=10_000), preparers, workers=1)
            finally:
                await store.close()
    finally:
        preparers.close()
    return put_off


async def totals(settings: Settings) -> tuple[int, int, list[str]]:
    """How many a token, and a part of a name, finds; and what `check` finds."""
    store = await open_store(settings)
    try:
        server = Server(store, settings)
        found = []
        for criterion in (("gender", "male"), ("name:contains", "ithson1")):
            answer = await dispatch(server, Request("GET", "Patient", query=[criterion, ("_summary", "count")]))
            assert isinstance(answer.body, bytes)
            found.append(msgspec.json.decode(answer.body)["total"])
        wrong = [str(one) async for one in store.check(lambda body: extract(msgspec.json.decode(body), "UTC"))]
        return found[0], found[1], wrong
    finally:
        await store.close()


async def test_what_is_loaded_is_searched_as_if_the_index_had_not_been_put_off(
    engine: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    settings = settings_for(new_database(engine))
    assert await load_into(settings, write(tmp_path, 0, 1000))
    assert await totals(settings) == (500, 111, [])
    # Into a store that holds a little; the rows of the first load stay.
    assert await load_into(settings, write(tmp_path, 1000, 1000))
    assert await totals(settings) == (1000, 1111, [])


async def test_nobody_opens_the_store_while_it_lasts_and_its_end_frees_it(
    engine: str, new_database: Callable[[str], str]
) -> None:
    settings = settings_for(new_database(engine))
    async with index_put_off(settings, SMALLEST) as put_off:
        assert put_off
        store = await open_store(settings, loading=True)
        try:
            with pytest.raises(BusinessRule, match="under way"):
                await open_store(settings)
            async with index_put_off(settings, SMALLEST) as second:
                assert not second
        finally:
            await store.close()
    await (await open_store(settings)).close()


async def test_it_is_not_put_off_for_a_little_into_much_or_beside_others(
    engine: str, new_database: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(new_database(engine))
    assert not await load_into(settings, write(tmp_path, 0, 10), size=SMALLEST - 1)
    store = await open_store(settings)
    await store.ready()
    assert not await load_into(settings, write(tmp_path, 10, 10))
    await store.close()
    for module in ("sqlite", "postgresql"):
        monkeypatch.setattr(f"fhir_server.storage.{module}.put_off.MOST_STORED", 5)
        monkeypatch.setattr(f"fhir_server.storage.{module}.put_off.STORED", rules.STORED)
    assert not await load_into(settings, write(tmp_path, 20, 10))
    assert await totals(settings) == (15, 11, [])
