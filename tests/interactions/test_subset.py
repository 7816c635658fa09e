"""_summary and _elements: R4 search.html#summary, #elements; http.html#parameters for the other interactions."""

from __future__ import annotations

import pytest

from tests.interactions.conftest import Client, Json

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def whole(name: str) -> Json:
    return {
        "resourceType": "DocumentReference",
        "id": name,
        "meta": {"tag": [{"system": "urn:x", "code": name}]},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Letter</div>'},
        "extension": [{"url": "urn:x:e", "valueString": "e"}],
        "status": "current",
        "description": "A letter",
        "securityLabel": [{"text": "R"}],
        "author": [{"display": "Dr A"}],
        "authenticator": {"display": "Dr B"},
        "content": [{"attachment": {"contentType": "text/plain", "title": "Letter", "data": "TGV0dGVy"}}],
        "context": {"facilityType": {"text": "Clinic"}},
    }


def keys(resource: Json) -> set[str]:
    assert resource["meta"]["tag"][-1] == TAG
    assert "versionId" in resource["meta"]
    return set(resource) - {"resourceType", "id", "meta"}


MANDATORY = {"status", "content"}
SUBSETS = {
    # DocumentReference's elements with the flag Σ in R4 documentreference.html.
    "_summary=true": {"status", "description", "securityLabel", "author", "content"},
    "_summary=text": {"text", *MANDATORY},
    "_summary=data": {
        "extension", "status", "description", "securityLabel", "author", "authenticator", "content", "context",
    },
    "_elements=author,description": {"author", "description", *MANDATORY},
    "_elements=context.period": {"context", *MANDATORY},
    "_summary=data&_elements=text,author": {"author", *MANDATORY},
}  # fmt: skip


@pytest.mark.parametrize("asked", SUBSETS)
async def test_a_search_a_read_and_a_history_return_the_part(client: Client, name: str, asked: str) -> None:
    await client.stored(whole(name))
    found = await client.get(f"DocumentReference?_id={name}&{asked}")
    past = await client.get(f"DocumentReference/{name}/_history?{asked}")
    for answer in (found, past):
        (resource,) = answer.resources
        assert keys(resource) == SUBSETS[asked]
        assert str(answer.link("self")).endswith(asked)
    for url in (f"DocumentReference/{name}", f"DocumentReference/{name}/_history/1"):
        read = await client.get(f"{url}?{asked}")
        assert read.resource == found.resources[0]
        assert read.headers["ETag"] == 'W/"1"'


async def test_the_summary_goes_down_to_the_last_element(client: Client, name: str) -> None:
    """R4 datatypes.html#Attachment: data is the one element of an Attachment outside the summary."""
    await client.stored(whole(name))
    (resource,) = (await client.get(f"DocumentReference?_id={name}&_summary=true")).resources
    assert resource["content"] == [{"attachment": {"contentType": "text/plain", "title": "Letter"}}]


async def test_false_returns_all(client: Client, name: str) -> None:
    stored = await client.stored(whole(name))
    for asked in ("_summary=false", ""):
        assert (await client.get(f"DocumentReference?_id={name}&{asked}")).resources == [stored.resource]
        assert (await client.get(f"DocumentReference/{name}?{asked}")).resource == stored.resource


async def test_count_returns_the_number_alone(client: Client, name: str) -> None:
    await client.stored(whole(name))
    answer = await client.get(f"DocumentReference?_id={name}&_summary=count")
    assert (answer.resource["total"], answer.entries) == (1, [])
    assert [link["relation"] for link in answer.resource["link"]] == ["self"]
    assert (await client.get(f"DocumentReference/{name}?_summary=count")).status == 400


async def test_included_resources_keep_all_elements(client: Client, name: str) -> None:
    """R4 search.html#elements: the list does not apply to included resources; the summary does."""
    await client.stored({"resourceType": "Patient", "id": name, "maritalStatus": {"text": "M"}, "gender": "male"})
    await client.stored(whole(name) | {"subject": {"reference": f"Patient/{name}"}})
    url = f"DocumentReference?_id={name}&_include=DocumentReference:subject"
    match, included = (await client.get(f"{url}&_elements=author")).resources
    assert keys(match) == {"author", *MANDATORY}
    assert "tag" not in included["meta"]
    assert "maritalStatus" in included
    _, included = (await client.get(f"{url}&_summary=true")).resources
    assert keys(included) == {"gender"}
    assert (await client.get(f"{url}&_summary=text")).status == 400  # R4 search.html#summary


async def test_an_element_that_is_none(client: Client, name: str) -> None:
    await client.stored(whole(name))
    answer = await client.get(f"DocumentReference?_id={name}&_elements=author,colour")
    assert answer.link("self") == f"DocumentReference?_id={name}&_elements=author"
    assert "colour" in str(answer.resources[-1])
    assert (await client.get("DocumentReference?_elements=colour", prefer="handling=strict")).status == 400
    assert (await client.get(f"DocumentReference/{name}?_elements=colour")).status == 400


async def test_every_type_of_a_choice_is_kept(client: Client, name: str) -> None:
    observation = {
        "resourceType": "Observation", "id": name, "status": "final", "code": {"text": "c"}, "valueString": "v",
        "_valueString": {"id": "x"}, "note": [{"text": "n"}],
    }  # fmt: skip
    await client.stored(observation)
    read = await client.get(f"Observation/{name}?_elements=value")
    assert keys(read.resource) == {"status", "code", "valueString", "_valueString"}


async def test_large_content_of_a_binary(client: Client, name: str) -> None:
    """Kept beside the resource; Binary.data is no summary element (R4 binary.html)."""
    data = "QUJD" * 100_000
    await client.stored({"resourceType": "Binary", "id": name, "contentType": "text/plain", "data": data})
    read = await client.get(f"Binary/{name}?_summary=true", accept="application/fhir+json")
    assert keys(read.resource) == {"contentType"}
    read = await client.get(f"Binary/{name}?_elements=data", accept="application/fhir+json")
    assert read.resource["data"] == data
