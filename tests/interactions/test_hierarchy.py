"""Searching hierarchies (R4 search.html#recursive), on both engines."""

from __future__ import annotations

import pytest
import pytest_asyncio

from fhir_server import spec
from fhir_server.search.definitions import definitions
from fhir_server.search.hierarchy import DEEPEST, PARENTS
from tests.interactions.conftest import Client, Json

pytestmark = pytest.mark.asyncio(loop_scope="module")


def location(logical_id: str, parent: str = "") -> Json:
    place: Json = {"resourceType": "Location", "id": logical_id}
    return place | ({"partOf": {"reference": f"Location/{parent}"}} if parent else {})


def procedure(logical_id: str, place: str) -> Json:
    return {
        "resourceType": "Procedure",
        "id": logical_id,
        "status": "completed",
        "subject": {"reference": "Patient/1"},
        "location": {"reference": f"Location/{place}"},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(client: Client) -> Client:
    for n in range(DEEPEST + 2):
        await client.stored(location(f"hd-{n}", f"hd-{n - 1}" if n else ""))
    # Two places that are part of each other.
    await client.stored(location("hd-ring-a", "hd-ring-b"))
    await client.stored(location("hd-ring-b", "hd-ring-a"))
    # Part of two others (R4 task.html: partOf 0..*).
    for task, wholes in (("hd-a", []), ("hd-b", []), ("hd-c", ["hd-a", "hd-b"]), ("hd-d", ["hd-c"])):
        parts = [{"reference": f"Task/{whole}"} for whole in wholes]
        await client.stored(
            {"resourceType": "Task", "id": task, "status": "requested", "intent": "order"}
            | ({"partOf": parts} if parts else {})
        )
    for place in ("hd-90", "hd-ring-a", "hd-ring-b"):
        await client.stored(procedure(f"{place}-p", place))
    return client


async def test_the_types_whose_parts_are_of_their_own_type() -> None:
    """R4's search parameters: a reference parameter over `partOf` alone whose only target is the type itself."""
    found = {
        resource_type: code
        for resource_type in spec.RESOURCE_TYPES
        for code, one in definitions(resource_type).items()
        if one.search_type == "reference"
        and one.targets == (resource_type,)
        and [[step.key for step in path.steps] for path in one.paths] == [["partOf"]]
    }
    assert found == PARENTS


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Procedure?location:below=hd-3", ["hd-90-p"]),
        ("Procedure?location:below=hd-91", []),
        ("Procedure?location:above=hd-91", ["hd-90-p"]),
        ("Procedure?location:above=hd-89", []),
        ("Task?part-of:below=hd-b", ["hd-c", "hd-d"]),
        ("Task?part-of:above=hd-c", ["hd-c", "hd-d"]),
        ("Procedure?location:below=hd-ring-a", ["hd-ring-a-p", "hd-ring-b-p"]),
        ("Procedure?location:above=hd-ring-a", ["hd-ring-a-p", "hd-ring-b-p"]),
    ],
)
async def test_transitively_and_round_a_ring(stored: Client, search: str, found: list[str]) -> None:
    answer = await stored.get(search)
    assert (answer.status, sorted(answer.ids)) == (200, found)


async def test_through_a_chain_and_has(stored: Client) -> None:
    answer = await stored.get("Location?_has:Procedure:location:location:below=hd-50")
    assert answer.ids == ["hd-90"]


@pytest.mark.parametrize(
    ("search", "code"),
    [
        ("Procedure?location:below=hd-0", "too-costly"),
        (f"Procedure?location:above=hd-{DEEPEST + 1}", "too-costly"),
        ("Procedure?location:below=https://elsewhere.example.org/Location/1", "invalid"),
        ("Procedure?patient:below=1", "not-supported"),
    ],
)
async def test_refuses(stored: Client, search: str, code: str) -> None:
    answer = await stored.get(search)
    assert (answer.status, answer.issue["code"]) == (400, code)
