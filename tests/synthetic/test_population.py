"""The synthetic population: reproducible, consistent, valid R4, and shaped as the benchmarks need it."""

import json
import subprocess
import sys
from collections import Counter
from itertools import islice

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.model.json import parse
from fhir_server.synthetic import generate
from fhir_server.synthetic.population import FEWEST, MOST, record_size
from fhir_server.validation import issues


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


@pytest.fixture(scope="module")
def resources():
    return list(generate(7, resources=6000))


def test_the_same_seed_gives_the_same_resources(resources):
    assert list(islice(generate(7, patients=10_000), 500)) == resources[:500]
    assert list(generate(8, resources=100)) != resources[:100]


def test_references_point_backward(resources):
    seen = set()
    for resource in resources:
        seen.add(f"{resource['resourceType']}/{resource['id']}")
        assert set(references(resource)) <= seen
    assert len(seen) == len(resources)


def test_every_resource_is_valid_by_another_implementation(resources):
    for resource in resources[:1500]:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def test_every_resource_passes_this_server_s_validation(resources):
    for resource in resources:
        assert issues(parse(json.dumps(resource).encode(), max_depth=100)) == []


def test_all_types_of_a_referral_are_there(resources):
    assert set(Counter(resource["resourceType"] for resource in resources)) == {
        "Appointment", "CarePlan", "Communication", "Condition", "DocumentReference", "EpisodeOfCare", "Observation",
        "Organization", "Patient", "Practitioner", "Procedure", "QuestionnaireResponse", "ServiceRequest", "Task",
    }  # fmt: skip


def test_the_average_resource_has_about_1100_bytes(resources):
    sizes = [len(json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()) for resource in resources]
    assert 1000 < sum(sizes) / len(sizes) < 1200


def test_record_sizes_have_a_heavy_tail():
    sizes = sorted(record_size(1, number) for number in range(5000))
    assert sizes[0] >= FEWEST
    assert sizes[2500] < 12
    assert sizes[-1] == MOST


def test_codes_are_distributed_by_rank(resources):
    codes = Counter(
        resource["code"]["coding"][0]["code"]
        for resource in resources
        if resource["resourceType"] == "Observation" and resource["category"][0]["coding"][0]["code"] == "laboratory"
    )
    (_, first), (_, second), *_, (_, rarest) = codes.most_common()
    assert first > 1.4 * second
    assert first > 50 * rarest


def test_patients_have_names_beyond_ascii_and_two_identifiers(resources):
    patients = [resource for resource in resources if resource["resourceType"] == "Patient"]
    assert any(not patient["name"][0]["family"].isascii() for patient in patients)
    assert all(len(patient["identifier"]) == 2 for patient in patients)


def test_the_command_writes_ndjson():
    command = [sys.executable, "-m", "fhir_server.synthetic", "--seed", "7", "--resources", "40"]
    lines = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    assert [json.loads(line) for line in lines] == list(generate(7, resources=40))


def test_scores_are_coded_as_the_server_codes_its_own(resources, repository):
    """The codes are those of the shipped CodeSystem; unit `score` is what $score writes (docs/api/operations)."""
    shipped = json.loads((repository / "terminology" / "CodeSystem-msk-score.json").read_text())
    displays = {concept["code"]: concept["display"] for concept in shipped["concept"]}
    drawn = {}
    for resource in resources:
        for coding in resource.get("code", {}).get("coding", ()) if resource["resourceType"] == "Observation" else ():
            if coding["system"] == shipped["url"]:
                drawn[coding["code"]] = coding["display"]
                quantity = resource["valueQuantity"]
                assert (quantity["unit"], quantity["code"]) == ("score", "{score}")
    assert set(drawn) == {"oks.total", "phq-9.total"}
    assert drawn.items() <= displays.items()
