"""A store with the search parameters that jobs need, a clock that is moved, and steps put straight into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_server.content import shipped_resources
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.operations.stored import content_of
from fhir_server.search.registry import registry_of
from fhir_server.settings import Settings
from fhir_server.storage.base import Store, Transaction
from fhir_server.storage.scope import ALL

Json = dict[str, Any]
PARAMETERS = ("Task-opens-1.0.0", "Task-closes-1.0.0", "Task-due-1.0.0", "ServiceRequest-opens-1.0.0")


class World:
    """One store, its clock and what is in it."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.server = Server(store, settings)

    def at(self, instant: str) -> None:
        Path(self.server.settings.clock).write_text(instant, encoding="utf-8")

    async def put(self, *resources: Json) -> None:
        drafts = [prepare_for(self.server, {**one}, one["id"]) for one in resources]

        async def work(transaction: Transaction) -> None:
            for draft in drafts:
                await transaction.put(draft)

        await self.store.write(ALL, work)

    async def read(self, resource_type: str, logical_id: str) -> Json | None:
        version = await self.store.read(ALL, resource_type, logical_id)
        return None if version is None or version.body is None else content_of(version)

    async def status(self, logical_id: str) -> str:
        task = await self.read("Task", logical_id)
        assert task is not None
        return str(task["status"])

    async def count(self, resource_type: str) -> int:
        return (await self.store.counts(ALL)).get(resource_type, 0)


def step(logical_id: str, status: str, start: str | None, end: str | None, **more: Any) -> Json:
    """A questionnaire step of Patient/p."""
    window = {name: day for name, day in (("start", start), ("end", end)) if day is not None}
    return {
        "resourceType": "Task",
        "id": logical_id,
        "basedOn": [{"reference": "CarePlan/c"}],
        "status": status,
        "intent": "plan",
        "for": {"reference": "Patient/p"},
        "owner": {"reference": "Patient/p"},
        "restriction": {"period": window},
        **more,
    }


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    clock = tmp_path / "clock"
    clock.write_text("2026-03-10T09:00:00+00:00", encoding="utf-8")
    return Settings(database=database_url, content=False, clock=str(clock))


@pytest.fixture
async def world(store: Store, settings: Settings) -> World:
    made = World(store, settings)
    wanted = [one for one in shipped_resources(settings.canonical_base) if one.get("id") in PARAMETERS]
    assert len(wanted) == len(PARAMETERS)
    for one in wanted:
        await made.put(one)
        await refresh(made.server)
    made.server.registry = registry_of(await store.parameters())
    await made.put({"resourceType": "Patient", "id": "p"})
    return made
