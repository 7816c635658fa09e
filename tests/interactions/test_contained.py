"""Chains look into contained resources, which no other search meets (R4 search.html#contained)."""

from __future__ import annotations

import pytest

from tests.interactions.conftest import Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def request(logical_id: str, *, code: str, practitioner: str = "Nobody") -> Json:
    """A MedicationRequest that contains its medication and the one who asks for it."""
    return {
        "resourceType": "MedicationRequest",
        "id": logical_id,
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/contained-p"},
        "contained": [
            {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": "urn:drugs", "code": code}]}},
            {"resourceType": "Practitioner", "id": "who", "name": [{"family": practitioner}]},
        ],
        "medicationReference": {"reference": "#m"},
        "requester": {"reference": "#who"},
    }


async def test_a_chain_looks_into_contained_resources(client: Client) -> None:
    await client.stored(patient("contained-p"))
    await client.stored(request("contained-1", code="naproxen", practitioner="Featherstonehaugh"))
    await client.stored(request("contained-2", code="etoricoxib"))
    await client.stored(
        {"resourceType": "Medication", "id": "contained-m", "code": {"coding": [{"system": "urn:drugs", "code": "x1"}]}}
    )
    outside = request("contained-3", code="unused")
    outside["medicationReference"] = {"reference": "Medication/contained-m"}
    await client.stored(outside)

    async def found(query: str) -> list[str]:
        return sorted((await client.get(f"MedicationRequest?{query}")).ids)

    assert await found("medication.code=urn:drugs|naproxen") == ["contained-1"]
    assert await found("medication:Medication.code=naproxen,x1") == ["contained-1", "contained-3"]
    assert await found("requester:Practitioner.family=feather") == ["contained-1"]
    assert await found("requester.family=feather") == ["contained-1"]
    assert await found("medication.code=unused") == []  # contained, but not what is referred to


async def test_a_contained_resource_is_not_found_by_itself(client: Client) -> None:
    await client.stored(patient("contained-p"))
    await client.stored(request("contained-4", code="celecoxib", practitioner="Alone"))
    assert (await client.get("Medication?code=celecoxib")).ids == []
    assert (await client.get("Practitioner?family=alone")).ids == []
    assert (await client.get("Medication/m")).status == 404
    history = await client.get("_history?_count=20")
    assert "Practitioner" not in {entry["resource"]["resourceType"] for entry in history.entries if "resource" in entry}


async def test_what_was_contained_goes_with_its_container(client: Client) -> None:
    await client.stored(patient("contained-p"))
    await client.stored(request("contained-5", code="before"))
    await client.stored(request("contained-5", code="after"))
    assert (await client.get("MedicationRequest?medication.code=before")).ids == []
    assert (await client.get("MedicationRequest?medication.code=after")).ids == ["contained-5"]
    await client.delete("MedicationRequest/contained-5")
    assert (await client.get("MedicationRequest?medication.code=after")).ids == []


async def test_missing_sees_references_to_contained_resources(client: Client) -> None:
    await client.stored(patient("contained-p"))
    await client.stored(request("contained-6", code="there"))
    assert (await client.get("MedicationRequest?_id=contained-6&requester:missing=false")).ids == ["contained-6"]
    assert (await client.get("MedicationRequest?_id=contained-6&requester:missing=true")).ids == []


class TestContained:
    """R4 search.html#contained: `_contained` and `_containedType`."""

    async def fill(self, client: Client) -> None:
        await client.stored(patient("contained-p"))
        await client.stored(request("contained-7", code="unique-7"))
        await client.stored(
            {
                "resourceType": "Medication",
                "id": "contained-7m",
                "code": {"coding": [{"system": "urn:drugs", "code": "unique-7"}]},
            }
        )

    async def test_the_containers(self, client: Client) -> None:
        await self.fill(client)
        answer = await client.get("Medication?code=unique-7&_contained=true")
        assert [(r["resourceType"], r["id"]) for r in answer.resources] == [("MedicationRequest", "contained-7")]
        assert answer.entries[0]["search"] == {"mode": "match"}
        assert answer.entries[0]["fullUrl"].endswith("/MedicationRequest/contained-7")

    async def test_the_contained_resources(self, client: Client) -> None:
        await self.fill(client)
        answer = await client.get("Medication?code=unique-7&_contained=true&_containedType=contained")
        assert [(r["resourceType"], r["id"]) for r in answer.resources] == [("Medication", "m")]
        assert answer.entries[0]["fullUrl"].endswith("/MedicationRequest/contained-7#m")

    async def test_both(self, client: Client) -> None:
        await self.fill(client)
        answer = await client.get("Medication?code=unique-7&_contained=both&_total=accurate")
        assert sorted(answer.ids) == ["contained-7", "contained-7m"]
        assert answer.resource["total"] == 2
        assert (await client.get("Medication?code=unique-7&_contained=false")).ids == ["contained-7m"]

    async def test_pages(self, client: Client) -> None:
        await client.stored(patient("contained-p"))
        for n in range(5):
            await client.stored(request(f"contained-page-{n}", code="paged"))
        url, found = "Medication?code=paged&_contained=true&_count=2&_sort=-_lastUpdated", []
        while url:
            page = await client.get(url)
            found += page.ids
            url = page.link("next") or ""
        assert found == [f"contained-page-{n}" for n in reversed(range(5))]

    @pytest.mark.parametrize(
        ("controls", "own"),
        [("_contained=true", 0), ("_contained=true&_sort=-code", 0), ("_contained=both&_sort=code", 1)],
    )
    async def test_a_container_stands_once_in_all_pages(self, client: Client, controls: str, own: int) -> None:
        """R4 search.html#contained: a container of several matches is one result, wherever its matches fall."""

        def medication(code: str) -> Json:
            coding = {"system": "urn:drugs", "code": code}
            return {"resourceType": "Medication", "code": {"coding": [coding]}, "form": {"text": "many"}}

        tag = {"meta": {"tag": [{"code": "many"}]}}
        for n in range(3):
            held = [medication(f"many-{n}-{m}") | tag | {"id": f"m{m}"} for m in (1, 2, 3)]
            links = [{"extension": [{"url": "urn:x", "valueReference": {"reference": f"#m{m}"}} for m in (1, 2, 3)]}]
            await client.stored(
                request(f"contained-many-{n}", code="x")
                | {"contained": held, "medicationReference": {"reference": "#m1"}, **links[0]}
            )
        await client.stored(medication("many-1-2") | tag | {"id": "contained-many"})
        url, found, sizes = f"Medication?_tag=many&{controls}&_count=2", [], []
        while url:
            page = await client.get(url)
            found += page.ids
            sizes.append(len(page.ids))
            back = page.link("previous")
            if back:
                again = await client.get(back)
                assert len(again.ids) == sizes[-2]
            url = page.link("next") or ""
        assert sorted(found) == sorted([f"contained-many-{n}" for n in range(3)] + ["contained-many"] * own)

    async def test_a_value_it_does_not_take(self, client: Client) -> None:
        answer = await client.get("Medication?code=x&_contained=maybe")
        assert (answer.status, answer.issue["code"]) == (400, "invalid")
