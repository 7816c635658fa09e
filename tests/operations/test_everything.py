"""Patient $everything (R4 patient-operation-everything.html) on each engine."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

import pytest

from fhir_server.errors import FhirError, ResourceGone, ResourceNotFound
from fhir_server.operations import searchset
from fhir_server.storage.query import LastUpdatedRange
from fhir_server.storage.scope import Scope
from tests.operations.conftest import BASE_URL, Json, Operations, Put

PATH = "Patient/anna/$everything"
ANNA: Json = {"resourceType": "Patient", "id": "anna", "birthDate": "1960"}
BORIS: Json = {
    "resourceType": "Patient",
    "id": "boris",
    "link": [{"other": {"reference": "Patient/anna"}, "type": "seealso"}],
}
KNEE: Json = {
    "resourceType": "Observation",
    "id": "knee",
    "status": "final",
    "code": {"text": "knee"},
    "subject": {"reference": "Patient/anna"},
    "effectiveDateTime": "2026-03-05",
    "performer": [{"reference": "PractitionerRole/physio"}],
}
UNDATED: Json = {
    "resourceType": "Observation",
    "id": "undated",
    "status": "final",
    "code": {"text": "undated"},
    "subject": {"reference": "Patient/anna"},
}
TASK: Json = {
    "resourceType": "Task",
    "id": "triage",
    "status": "requested",
    "intent": "order",
    "for": {"reference": "Patient/anna"},
    "focus": {"reference": "Observation/boris-hip"},
}
OTHERS: Json = {
    "resourceType": "Observation",
    "id": "boris-hip",
    "status": "final",
    "code": {"text": "hip"},
    "subject": {"reference": "Patient/boris"},
}
ROLE: Json = {
    "resourceType": "PractitionerRole",
    "id": "physio",
    "practitioner": {"reference": "Practitioner/p1"},
    "organization": {"reference": "Organization/o1"},
}
PRACTITIONER: Json = {"resourceType": "Practitioner", "id": "p1", "name": [{"family": "Ito"}]}
UNRELATED: Json = {"resourceType": "Practitioner", "id": "p2"}
GROUP: Json = {
    "resourceType": "Group",
    "id": "clinic",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": "Patient/anna"}}, {"entity": {"reference": "Patient/boris"}}],
}


@pytest.fixture
async def record(put: Put) -> None:
    await put(ANNA, BORIS, KNEE, UNDATED, TASK, OTHERS, ROLE, PRACTITIONER, UNRELATED, GROUP)


def entries(bundle: Json) -> dict[str, str]:
    """`Type/id` -> search.mode; fails on a resource that stands in the Bundle twice."""
    found: dict[str, str] = {}
    for entry in bundle.get("entry", []):
        name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        assert name not in found
        assert entry["fullUrl"] == f"{BASE_URL}/{name}"
        found[name] = entry["search"]["mode"]
    return found


async def pages(operations: Operations, *query: tuple[str, str]) -> list[Json]:
    bundles = [await operations.get(PATH, *query)]
    while links := [link["url"] for link in bundles[-1]["link"] if link["relation"] == "next"]:
        assert links[0].startswith(f"{BASE_URL}/{PATH}?")
        bundles.append(await operations.get(PATH, *parse_qsl(urlsplit(links[0]).query)))
    return bundles


@pytest.mark.usefixtures("record")
async def test_the_record_is_patient_compartment_and_what_they_refer_to(operations: Operations) -> None:
    bundle = await operations.get(PATH)
    assert bundle["type"] == "searchset"
    assert entries(bundle) == {
        "Patient/anna": "match",
        "Observation/knee": "match",
        "Observation/undated": "match",
        "Task/triage": "match",
        "PractitionerRole/physio": "include",
        "Practitioner/p1": "include",
    }
    assert bundle["entry"][0]["resource"]["id"] == "anna"
    assert bundle["total"] == 4
    assert bundle["link"] == [{"relation": "self", "url": f"{BASE_URL}/{PATH}"}]


@pytest.mark.usefixtures("record")
async def test_pages_hold_each_resource_once_in_the_order_of_the_whole(operations: Operations) -> None:
    whole = entries(await operations.get(PATH))
    for count in (1, 2, 3, 4, 5):
        bundles = await pages(operations, ("_count", str(count)))
        assert [len(bundle["entry"]) for bundle in bundles[:-1]] == [count] * (len(bundles) - 1)
        together = [item for bundle in bundles for item in entries(bundle).items()]
        assert together == list(whole.items())


@pytest.mark.usefixtures("record")
async def test_pages_show_the_moment_of_the_first(operations: Operations, put: Put) -> None:
    first = await operations.get(PATH, ("_count", "2"))
    await put({**UNDATED, "status": "amended"}, {**UNDATED, "id": "later"})
    following = parse_qsl(urlsplit(first["link"][1]["url"]).query)
    rest = await operations.get(PATH, *((name, "50" if name == "_count" else value) for name, value in following))
    statuses = [e["resource"]["status"] for e in first["entry"] + rest["entry"] if e["resource"]["id"] == "undated"]
    assert statuses == ["final"]
    assert "Observation/later" not in entries(rest)


@pytest.mark.usefixtures("record")
async def test_pages_show_what_was_deleted_since_the_first(
    operations: Operations, delete: Callable[[str, str], Awaitable[None]]
) -> None:
    whole = entries(await operations.get(PATH))
    first = await operations.get(PATH, ("_count", "2"))
    for reference in whole:
        await delete(*reference.split("/"))
    rest = await operations.get(
        PATH, *parse_qsl(urlsplit(first["link"][1]["url"]).query.replace("_count=2", "_count=50"))
    )
    assert list(entries(first) | entries(rest)) == list(whole)


@pytest.mark.usefixtures("record")
async def test_a_cursor_opens_only_the_record_it_was_made_for(operations: Operations) -> None:
    first = await operations.get(PATH, ("_count", "2"))
    following = parse_qsl(urlsplit(first["link"][1]["url"]).query)
    with pytest.raises(FhirError) as refused:
        await operations.get("Patient/boris/$everything", *following)
    assert refused.value.status == 400


NARROWED: list[tuple[list[tuple[str, str]], set[str]]] = [
    ([("_type", "Observation")], {"Observation/knee", "Observation/undated"}),
    ([("_type", "Patient,Task")], {"Patient/anna", "Task/triage"}),
    ([("_type", "Observation"), ("_type", "PractitionerRole")],
     {"Observation/knee", "Observation/undated", "PractitionerRole/physio"}),
    ([("_type", "Medication")], set()),
    ([("start", "2026-03-05"), ("_type", "Observation")], {"Observation/knee", "Observation/undated"}),
    ([("start", "2026-03-06"), ("_type", "Observation")], {"Observation/undated"}),
    ([("end", "2026-03"), ("_type", "Observation")], {"Observation/knee", "Observation/undated"}),
    ([("end", "2026-02"), ("_type", "Observation,Patient")], {"Observation/undated", "Patient/anna"}),
    ([("start", "2026-01-01"), ("end", "2026-12-31"), ("_type", "Observation")],
     {"Observation/knee", "Observation/undated"}),
    ([("start", "2026-03-06")],
     {"Patient/anna", "Observation/undated", "Task/triage"}),
]  # fmt: skip


@pytest.mark.usefixtures("record")
async def test_parameters_narrow_the_record(operations: Operations) -> None:
    for query, found in NARROWED:
        assert set(entries(await operations.get(PATH, *query))) == found, query
        paged = await pages(operations, *query, ("_count", "1"))
        assert {name for bundle in paged for name in entries(bundle)} == found, query


@pytest.mark.usefixtures("record")
async def test_since_gives_what_changed_even_behind_what_did_not(operations: Operations, put: Put) -> None:
    [changed] = await put({**PRACTITIONER, "active": True})
    since = changed.body.split(b'"lastUpdated":"')[1].split(b'"')[0].decode()  # type: ignore[union-attr]
    assert entries(await operations.get(PATH, ("_since", since))) == {"Practitioner/p1": "include"}
    assert [entries(page) for page in await pages(operations, ("_since", since), ("_count", "5"))] == [
        {"Practitioner/p1": "include"}
    ]
    assert entries(await operations.get(PATH, ("_since", "2999-01-01T00:00:00Z"))) == {}


async def test_an_attachment_comes_with_its_data(operations: Operations, put: Put) -> None:
    letter = bytes(range(256)) * 1024
    await put(
        ANNA,
        {
            "resourceType": "DocumentReference",
            "id": "letter",
            "status": "current",
            "subject": {"reference": "Patient/anna"},
            "content": [{"attachment": {"contentType": "application/pdf", "url": "Binary/pdf"}}],
        },
        {
            "resourceType": "Binary",
            "id": "pdf",
            "contentType": "application/pdf",
            "data": base64.b64encode(letter).decode(),
        },
    )
    bundle = await operations.get(PATH)
    assert entries(bundle)["Binary/pdf"] == "include"
    [pdf] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Binary"]
    assert base64.b64decode(pdf["data"]) == letter


async def test_an_answered_questionnaire_is_found_by_its_canonical(operations: Operations, put: Put) -> None:
    url = "https://x.example/Questionnaire/oks"
    form: Json = {"resourceType": "Questionnaire", "status": "active", "url": url}
    answers: Json = {
        "resourceType": "QuestionnaireResponse",
        "id": "answers",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
    }
    await put(
        ANNA,
        {**form, "id": "oks-1", "version": "1.0"},
        {**form, "id": "oks-2", "version": "2.0"},
        {**form, "id": "other", "url": f"{url}-other"},
        {**answers, "questionnaire": f"{url}|1.0"},
    )
    whole = entries(await operations.get(PATH))
    assert whole == {
        "Patient/anna": "match",
        "QuestionnaireResponse/answers": "match",
        "Questionnaire/oks-1": "include",
    }
    await put({**answers, "questionnaire": url})
    whole = entries(await operations.get(PATH))
    assert [name for name, mode in whole.items() if mode == "include"] == ["Questionnaire/oks-1", "Questionnaire/oks-2"]


async def test_a_large_record_is_streamed_and_a_bundle_entry_is_not(operations: Operations, put: Put) -> None:
    text = "x" * 4000
    many = [{**KNEE, "id": f"o{n}", "code": {"text": text}, "performer": []} for n in range(400)]
    for resource in many:
        del resource["performer"]
    await put(ANNA, *many)
    response = await operations.send("GET", PATH)
    assert not isinstance(response.body, bytes)
    chunks = [len(chunk) async for chunk in response.body]
    assert sum(chunks) > len(text) * 400
    # Flat memory: only the start, which decides whether to stream, is held together.
    assert max(chunks[1:]) < 2 * searchset.CHUNK
    assert len(entries(await operations.get(PATH))) == 401


async def test_unknown_and_deleted_patients(
    operations: Operations, put: Put, delete: Callable[[str, str], Awaitable[None]]
) -> None:
    with pytest.raises(ResourceNotFound):
        await operations.get(PATH)
    await put(ANNA)
    await delete("Patient", "anna")
    with pytest.raises(ResourceGone):
        await operations.get(PATH)


UNUSABLE = [
    (("_count", "0"), "_count"),
    (("_count", "many"), "_count"),
    (("_type", "Observatoin"), "Observatoin"),
    (("start", "yesterday"), "start"),
    (("start", "2026-02-30"), "start"),
    (("_since", "2026"), "_since"),
    (("_cursor", "AAAA"), "page"),
]


async def test_parameters_that_cannot_be_used_are_refused(operations: Operations, put: Put) -> None:
    await put(ANNA)
    for query, says in UNUSABLE:
        with pytest.raises(FhirError) as refused:
            await operations.get(PATH, query)
        assert refused.value.status == 400, query
        assert says in refused.value.issues[0].diagnostics, query
    with pytest.raises(FhirError, match="end is before start"):
        await operations.get(PATH, ("start", "2026-02-01"), ("end", "2026-01-31"))


@pytest.mark.usefixtures("record")
async def test_every_store_call_carries_the_callers_scope(operations: Operations) -> None:
    """Security is data in the scope: who may see nothing learns nothing."""
    nothing = Scope("nobody", (LastUpdatedRange(low=2**60),))
    with pytest.raises(ResourceNotFound):
        await operations.send("GET", PATH, scope=nothing)
