"""What a search may cost, and that nothing is asked of what is not there (R4 search.html#errors)."""

from __future__ import annotations

import asyncpg
import pytest

from fhir_server.interactions.exchange import Server
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from tests.interactions.conftest import Client, Json, numbered, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def task(logical_id: str, focus: str) -> Json:
    return {
        "resourceType": "Task", "id": logical_id, "status": "ready", "intent": "order",
        "for": {"reference": "Patient/costs-1"}, "focus": {"reference": focus},
    }  # fmt: skip


class TestChainsToAnyType:
    """R4 search.html#chaining: an untyped chain is asked of the types that something is stored of."""

    async def test_several_conditions_are_not_too_many(self, client: Client, name: str) -> None:
        for n, code in enumerate(("a", "b", "c")):
            await client.stored(patient(f"{name}{n}", meta={"tag": [{"system": "urn:costs", "code": f"{name}{code}"}]}))
            await client.stored(task(f"{name}{n}", f"Patient/{name}{n}"))
        tags = f"focus._tag={name}a,{name}b"
        assert sorted((await client.get(f"Task?{tags}")).ids) == [f"{name}0", f"{name}1"]
        both = await client.get(f"Task?{tags}&focus._tag={name}b,{name}c&focus._lastUpdated=gt2000")
        assert (both.status, both.ids) == (200, [f"{name}1"])

    async def test_a_value_that_only_types_not_stored_can_read_finds_nothing(self, client: Client) -> None:
        """It is no error (R4 search.html#errors: what cannot be satisfied gives an empty result)."""
        answer = await client.get("Task?focus.probability=1", prefer="handling=strict")
        assert (answer.status, answer.ids) == (200, [])

    async def test_a_value_that_no_type_can_read_is_refused(self, client: Client) -> None:
        answer = await client.get("Task?focus.probability=many")
        assert (answer.status, answer.issue["code"]) == (400, "invalid")

    async def test_a_condition_takes_it_too(self, client: Client, name: str) -> None:
        await client.stored(patient(name, meta={"tag": [{"system": "urn:costs", "code": name}]}))
        await client.stored(task(name, f"Patient/{name}"))
        answer = await client.delete(f"Task?focus._tag={name}&focus._lastUpdated=gt2000")
        assert answer.status == 204
        assert (await client.get(f"Task/{name}")).status == 410


async def test_below_of_a_longer_url_than_the_index_tells_apart_is_refused(client: Client) -> None:
    """R4 search.html#uri: it left-matches the value, which the index keeps the start of."""
    start = "http://test.example/" + "a" * 179
    await client.stored({"resourceType": "ValueSet", "id": "costs", "status": "draft", "url": f"{start}/b{'c' * 50}"})
    assert (await client.get(f"ValueSet?url:below={start}/")).ids == ["costs"]
    answer = await client.get(f"ValueSet?url:below={start}/bd")
    assert (answer.status, answer.issue["code"]) == (400, "invalid")
    assert "200" in answer.issue["diagnostics"]


async def test_a_search_ends_at_its_time_and_names_the_parameters(client: Client, engine: str, name: str) -> None:
    """On PostgreSQL, which counts no rows, the time is the budget: here it waits for a table that is locked."""
    if engine != "postgresql":
        return
    await client.stored(numbered(name, name))
    settings: Settings = client.server.settings.model_copy(update={"search_seconds": 0.2})
    store = await open_store(settings)
    other = await asyncpg.connect(settings.database)
    try:
        hasty = Client(Server(store, settings))
        async with other.transaction():
            await other.execute("LOCK TABLE text IN ACCESS EXCLUSIVE MODE")
            answer = await hasty.get(f"Patient?identifier={name}&family=x")
        assert (answer.status, answer.issue["code"]) == (422, "too-costly")
        assert "What costs most: family." in answer.issue["diagnostics"]
        assert (await hasty.get(f"Patient?identifier={name}")).ids == [name]
    finally:
        await other.close()
        await store.close()
