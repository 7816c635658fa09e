"""Searches in a compartment: R4 http.html#vsearch, compartmentdefinition.html and the five definitions."""

from __future__ import annotations

import pytest

from fhir_server import spec
from fhir_server.search.compartment import COMPARTMENTS, compartment_types, member_of
from fhir_server.search.registry import R4
from tests.interactions.conftest import Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def resource(resource_type: str, logical_id: str, **elements: object) -> Json:
    return {"resourceType": resource_type, "id": logical_id, **elements}


def to(target: str) -> Json:
    return {"reference": target}


async def fill(client: Client, name: str) -> None:
    """Resources of the compartments of all kinds of owners called `name`, and others."""
    code = {"text": "x"}
    await client.stored(patient(name))
    await client.stored(patient(f"{name}-other"))
    await client.stored(resource("Practitioner", name))
    await client.stored(resource("Device", name))
    await client.stored(resource("RelatedPerson", name, patient=to(f"Patient/{name}")))
    encounter = {"status": "finished", "class": {"code": "AMB"}}
    await client.stored(resource("Encounter", name, subject=to(f"Patient/{name}"), **encounter))
    observed = {"status": "final", "code": code}
    await client.stored(
        resource(
            "Observation", f"{name}-o", subject=to(f"Patient/{name}"), encounter=to(f"Encounter/{name}"),
            performer=[to(f"Practitioner/{name}")], device=to(f"Device/{name}"), **observed,
        )
    )  # fmt: skip
    await client.stored(resource("Observation", f"{name}-other", subject=to(f"Patient/{name}-other"), **observed))
    members = [{"entity": to(f"Patient/{name}")}, {"entity": to(f"Practitioner/{name}")}]
    await client.stored(resource("Group", f"{name}-g", type="person", actual=True, member=members))
    await client.stored(resource("Schedule", f"{name}-s", actor=[to(f"Patient/{name}"), to(f"RelatedPerson/{name}")]))
    await client.stored(
        resource("Task", f"{name}-t", status="requested", intent="order", **{"for": to(f"Patient/{name}")})
    )


FOUND = {
    "Patient/{}/Observation": {"{}-o"},
    "Patient/{}/Encounter": {"{}"},
    "Patient/{}/RelatedPerson": {"{}"},
    "Patient/{}/Group": {"{}-g"},
    "Patient/{}/Schedule": {"{}-s"},
    "Patient/{}/Task": {"{}-t"},
    "Patient/{}/Patient": {"{}"},
    "Patient/{}-other/Observation": {"{}-other"},
    "Patient/{}-none/Observation": set(),
    "Encounter/{}/Observation": {"{}-o"},
    "Encounter/{}/Encounter": {"{}"},
    "Practitioner/{}/Observation": {"{}-o"},
    "Practitioner/{}/Group": {"{}-g"},
    "RelatedPerson/{}/Schedule": {"{}-s"},
    "RelatedPerson/{}/RelatedPerson": {"{}"},
    "Device/{}/Observation": {"{}-o"},
}


async def test_finds_what_the_definition_says(client: Client, name: str) -> None:
    await fill(client, name)
    for url, expected in FOUND.items():
        answer = await client.get(url.format(name))
        assert answer.status == 200, answer.body
        assert set(answer.ids) == {one.format(name) for one in expected}, url
        assert answer.link("self") == url.format(name)
        assert (await client.send("POST", f"{url.format(name)}/_search")).ids == answer.ids


async def test_every_type_at_once(client: Client, name: str) -> None:
    await fill(client, name)
    for url in (f"Patient/{name}/*", f"Patient/{name}/*?_count=2&_total=accurate"):
        answer = await client.get(url)
        found = list(answer.resources)
        while (following := answer.link("next")) is not None:
            answer = await client.get(following)
            found += answer.resources
        names = {f"{one['resourceType']}/{one['id']}" for one in found}
        assert len(found) == len(names) == 7
        assert names == {
            f"Patient/{name}", f"Encounter/{name}", f"RelatedPerson/{name}", f"Observation/{name}-o", f"Task/{name}-t",
            f"Group/{name}-g", f"Schedule/{name}-s",
        }  # fmt: skip
        assert answer.resource.get("total", 7) == 7
    for url in (f"Patient/{name}/_search", f"Patient/{name}/*/_search"):
        assert len((await client.send("POST", url)).entries) == 7
    answer = await client.get(f"Patient/{name}/*?_type=Observation,Task,Medication")
    assert sorted(answer.ids) == [f"{name}-o", f"{name}-t"]


async def test_parameters_narrow_it(client: Client, name: str) -> None:
    await fill(client, name)
    for asked, count in (("status=final", 1), ("status=amended", 0), (f"performer=Practitioner/{name}", 1)):
        answer = await client.get(f"Patient/{name}/Observation?{asked}&_total=accurate")
        assert (len(answer.ids), answer.resource["total"]) == (count, count)
    included = await client.get(f"Patient/{name}/Observation?_include=Observation:encounter")
    assert included.ids == [f"{name}-o", name]


async def test_what_is_no_compartment(client: Client, name: str) -> None:
    await fill(client, name)
    for url in (
        f"Observation/{name}-o/Patient",
        f"Organization/{name}/Patient",
        f"Patient/{name}/Medication",
        f"Encounter/{name}/Patient",
        f"Patient/{name}/Pet",
        f"Patient/{name}/Observation/{name}-o",
    ):
        answer = await client.get(url)
        assert (answer.status, answer.issue["code"]) == (404, "not-supported"), url
    assert (await client.send("PUT", f"Patient/{name}/Observation")).status == 405
    assert (await client.get(f"Patient/{name}/Observation/_search")).status == 405
    assert (await client.get("Patient/a b/Observation")).status == 400
    assert (await client.get(f"Patient/{name}/*?_type=Medication")).status == 400


async def test_a_page_link_is_of_its_compartment(client: Client, name: str) -> None:
    await fill(client, name)
    for n in range(2):
        observed = {"status": "final", "code": {"text": "x"}, "subject": to(f"Patient/{name}")}
        await client.stored(resource("Observation", f"{name}-{n}", **observed))
    following = str((await client.get(f"Patient/{name}/Observation?_count=2")).link("next"))
    assert len((await client.get(following)).ids) == 1
    foreign = following.replace(f"Patient/{name}/", f"Patient/{name}-other/")
    assert (await client.get(foreign)).status == 400
    assert (await client.get(following.replace(f"Patient/{name}/", ""))).status == 400


async def test_every_member_of_r4s_definitions_can_be_searched() -> None:
    """And Task in the compartment of a Patient, which R4 forgot (docs/spec-clarifications/search.md)."""
    for name in COMPARTMENTS:
        types = set(compartment_types(name))
        assert types == set(spec.compartment(name)) | ({"Task"} if name == "Patient" else set())
        for one in types:
            assert member_of(R4, (name, "x"), one)
