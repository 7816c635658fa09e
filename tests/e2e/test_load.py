"""`fhir-server load` as a user runs it: generated records, and Bundles stored or executed."""

import json
import subprocess
import sys

import httpx
import pytest

from fhir_server.synthetic import generate
from tests.e2e.referral import bundle
from tests.live_server import running_server


def load(database, *arguments):
    command = [sys.executable, "-m", "fhir_server.cli.main", "load", *map(str, arguments), "--database", database]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def total(server, resource_type):
    answer = httpx.get(f"{server.base_url}/{resource_type}", params={"_summary": "count"})
    return answer.json()["total"]


@pytest.fixture
def records(tmp_path):
    """A folder with 600 synthetic resources as NDJSON."""
    folder = tmp_path / "records"
    folder.mkdir()
    made = list(generate(3, resources=600))
    (folder / "msk.ndjson").write_text("".join(json.dumps(resource) + "\n" for resource in made))
    return folder, made


def test_generated_records_are_all_loaded(database_url, tmp_path, records):
    folder, made = records
    done = load(database_url, folder)
    assert done.returncode == 0, done.stderr
    with running_server(database_url, tmp_path) as server:
        for resource_type in ("Patient", "Observation", "Task"):
            assert total(server, resource_type) == sum(r["resourceType"] == resource_type for r in made)
        last = made[-1]
        stored = httpx.get(f"{server.base_url}/{last['resourceType']}/{last['id']}").json()
    del stored["meta"]
    assert stored == last


def test_an_invalid_resource_is_reported_with_its_element_and_the_rest_loaded(database_url, tmp_path, records):
    folder, made = records
    (folder / "wrong.json").write_text(json.dumps({"resourceType": "Patient", "id": "wrong", "gender": "man"}))
    done = load(database_url, folder)
    assert done.returncode == 1
    assert "Patient.gender" in done.stdout + done.stderr
    with running_server(database_url, tmp_path) as server:
        assert total(server, "Observation") == sum(r["resourceType"] == "Observation" for r in made)
        assert httpx.get(f"{server.base_url}/Patient/wrong").status_code == 404


@pytest.mark.parametrize(("options", "bundles", "patients"), [([], 1, 0), (["--execute"], 0, 1)])
def test_a_transaction_is_stored_or_executed(database_url, tmp_path, options, bundles, patients):
    file = tmp_path / "referral.json"
    file.write_text(json.dumps({**bundle(), "id": "referral"}))
    done = load(database_url, file, *options)
    assert done.returncode == 0, done.stderr
    with running_server(database_url, tmp_path) as server:
        assert (total(server, "Bundle"), total(server, "Patient")) == (bundles, patients)
