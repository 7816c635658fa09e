"""FHIRPath Patch, by cases from R4's page (tests/cases/patch) and, where they are at hand, the official ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fhir_server.errors import FhirError
from fhir_server.interactions import fhirpath_patch, json_patch
from tests.interactions.conftest import Client, Json, numbered, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE = Path(__file__).parents[1] / "cases" / "patch" / "fhirpath_patch.json"
CASES: list[Json] = json.loads(FILE.read_text())["cases"]
OFFICIAL = os.environ.get("FHIR_TEST_PATCH", "")
FHIR_JSON = "application/fhir+json"


def parameters(*operations: Json) -> Json:
    return {"resourceType": "Parameters"} | ({"parameter": list(operations)} if operations else {})


def replace_gender(value: str) -> Json:
    parts = {"type": {"valueCode": "replace"}, "path": {"valueString": "Patient.gender"}, "value": {"valueCode": value}}
    return parameters({"name": "operation", "part": [{"name": name} | part for name, part in parts.items()]})


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
async def test_does_what_the_specification_says(client: Client, name: str, case: Json) -> None:
    """R4 fhirpatch.html, http.html#patch."""
    await client.stored(case["before"] | {"id": name})
    url = f"{case['before']['resourceType']}/{name}"
    answer = await client.patch(url, parameters(*case["operations"]), content_type=FHIR_JSON)
    stored = {key: value for key, value in (await client.get(url)).resource.items() if key != "meta"}
    if "after" in case:
        assert answer.status == 200, answer.body
        assert stored == case["after"] | {"id": name}
    else:
        assert answer.status == case["status"], answer.body
        assert case["says"] in answer.issue["diagnostics"]
        assert stored == case["before"] | {"id": name}


async def test_the_failing_operation_is_named(client: Client, name: str) -> None:
    await client.stored(patient(name, gender="male"))
    sent = parameters(*replace_gender("female")["parameter"], {"name": "other"})
    answer = await client.patch(f"Patient/{name}", sent, content_type=FHIR_JSON)
    assert (answer.status, answer.issue["expression"]) == (400, ["Parameters.parameter[1]"])


async def test_another_resource_is_no_patch(client: Client, name: str) -> None:
    await client.stored(patient(name))
    assert (await client.patch(f"Patient/{name}", patient(), content_type=FHIR_JSON)).status == 400
    broken = parameters({"name": "operation", "part": [{"valueCode": "add"}]})
    assert (await client.patch(f"Patient/{name}", broken, content_type=FHIR_JSON)).status == 400


async def test_conditional(client: Client, name: str) -> None:
    await client.stored(numbered(name, name, gender="male"))
    url = f"Patient?identifier=http://test.example/numbers|{name}"
    answer = await client.patch(url, replace_gender("female"), content_type=FHIR_JSON)
    assert (answer.status, answer.resource["gender"]) == (200, "female")


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_in_a_bundle_it_is_the_entry_itself(client: Client, name: str, kind: str) -> None:
    await client.stored(patient(name, gender="male"))
    entry = {"resource": replace_gender("female"), "request": {"method": "PATCH", "url": f"Patient/{name}"}}
    answer = await client.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
    assert answer.entries[0]["response"]["status"].startswith("200")
    assert (await client.get(f"Patient/{name}")).resource["gender"] == "female"


async def test_a_failing_patch_undoes_its_transaction(client: Client, name: str) -> None:
    await client.stored(patient(name))
    entries = [
        {"resource": patient(f"{name}-2"), "request": {"method": "PUT", "url": f"Patient/{name}-2"}},
        {"resource": replace_gender("female"), "request": {"method": "PATCH", "url": f"Patient/{name}"}},
    ]
    answer = await client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status == 422
    assert answer.issue["expression"][0].startswith("Bundle.entry[1]")
    assert (await client.get(f"Patient/{name}-2")).status == 404


async def test_an_outdated_generated_narrative_goes(client: Client, name: str) -> None:
    """R4 http.html#patch: the narrative SHALL not be clinically unsafe after the patch."""
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a man</div>'}
    await client.stored(patient(name, gender="male", text=text))
    answer = await client.patch(f"Patient/{name}", replace_gender("female"), content_type=FHIR_JSON)
    assert (answer.status, "text" in answer.resource) == (200, False)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("Patient.generalPractitioner.where(resolve().active)", "reference"),
        ("Patient.maritalStatus.where(memberOf('http://test.example/ValueSet/x'))", "value set"),
        ("Patient.maritalStatus.where(subsumes(%resource.contact.relationship))", "hierarchy"),
    ],
)
async def test_a_path_that_needs_more_than_the_resource_is_refused(
    client: Client, name: str, path: str, says: str
) -> None:
    """R4 fhirpatch.html: to delete nothing is a success, so that an answer that is not known may not be empty."""
    coding = {"coding": [{"system": "urn:test", "code": "a"}]}
    other = {"coding": [{"system": "urn:test", "code": "b"}]}
    await client.stored(
        patient(
            name,
            generalPractitioner=[{"reference": "Practitioner/nobody"}],
            maritalStatus=coding,
            contact=[{"relationship": [other]}],
        )
    )
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    answer = await client.patch(
        f"Patient/{name}", parameters({"name": "operation", "part": parts}), content_type=FHIR_JSON
    )
    assert answer.status == 422, answer.body
    assert says in answer.issue["diagnostics"]


async def test_a_path_knows_the_type_of_a_reference_and_r4s_codes(client: Client, name: str) -> None:
    """Of these the patch needs nobody else: the type stands in the URL, the codes in the specification."""
    await client.stored(patient(name, gender="male", generalPractitioner=[{"reference": "Practitioner/nobody"}]))
    for path in (
        "Patient.generalPractitioner.where(resolve() is Practitioner)",
        "Patient.gender.where(memberOf('http://hl7.org/fhir/ValueSet/administrative-gender'))",
    ):
        parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
        answer = await client.patch(
            f"Patient/{name}", parameters({"name": "operation", "part": parts}), content_type=FHIR_JSON
        )
        assert answer.status == 200, answer.body
    assert not {"gender", "generalPractitioner"} & (await client.get(f"Patient/{name}")).resource.keys()


@pytest.mark.skipif(not OFFICIAL, reason="set FHIR_TEST_PATCH to the official cases (patch_r4.json)")
async def test_the_official_cases() -> None:
    official = json.loads(Path(OFFICIAL).read_text())
    tried = [
        (fhirpath_patch, case["name"], case["input"], case["diff"], None if case["error"] else case["output"])
        for case in official["fhirpatch"]
    ]
    tried += [
        (json_patch, case["comment"], case["doc"], case["patch"], case.get("expected"))
        for case in official["jsonpatch"]
    ]
    failures = []
    for kind, what, before, change, expected in tried:
        try:
            found: Any = kind.apply(before, change)
        except FhirError:
            found = None
        if _without_space(found) != _without_space(expected):
            failures.append((what, found, expected))
    assert failures == []


def _without_space(content: Any) -> Any:
    """The official narratives were XML, whose white space between elements says nothing."""
    if isinstance(content, dict) and "div" in (content.get("text") or {}):
        return content | {"text": content["text"] | {"div": "".join(content["text"]["div"].split())}}
    return content
