"""`fhir-server load` as a user runs it: generated records, and Bundles stored or executed."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

from fhir_server.synthetic import generate
from tests.e2e.referral import bundle
from tests.live_server import running_server
from tests.r4_examples import example, example_texts, faulty_examples


def load(database, *arguments):
    command = [sys.executable, "-m", "fhir_server.cli.main", "load", *map(str, arguments), "--database", database]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def total(server, resource_type):
    answer = httpx.get(f"{server.base_url}/{resource_type}", params={"_summary": "count"})
    return answer.json()["total"]


def alarms(resource):
    """PHQ-9 item 9 above 0 (docs/instruments.md): loading it stores a Flag and a Task."""
    if "/Questionnaire/phq-9|" not in resource.get("questionnaire", ""):
        return False
    return resource["item"][8]["answer"][0]["valueCoding"]["code"] != "0"


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
        alarming = sum(map(alarms, made))
        assert alarming > 0
        assert total(server, "Flag") == alarming
        for resource_type, more in (("Patient", 0), ("Observation", 0), ("Task", alarming)):
            assert total(server, resource_type) == sum(r["resourceType"] == resource_type for r in made) + more
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


def test_the_specifications_examples_are_loaded_but_for_the_faulty_ones(database_url, tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    for name, text in example_texts().items():
        (folder / name).write_text(text, encoding="utf-8")
    report = tmp_path / "report.ndjson"
    done = load(database_url, folder, "--report", report)
    assert done.returncode == 1
    good = {name: example(name) for name in example_texts() if name not in faulty_examples()}
    assert f"{len(good)} created, 0 updated, 0 unchanged, {len(faulty_examples())} refused" in done.stdout
    for name, expressions in faulty_examples().items():
        assert f"{folder / name}: " in done.stderr
        assert all(f": {expression}: " in done.stderr for expression in expressions)
    outcomes = [json.loads(line) for line in report.read_text().splitlines()]
    refused = {outcome["extension"][0]["valueString"]: outcome["issue"] for outcome in outcomes}
    assert {file: [issue["expression"] for issue in issues] for file, issues in refused.items()} == {
        str(folder / name): [[expression] for expression in expressions]
        for name, expressions in faulty_examples().items()
    }
    json_only = {"Accept": "application/fhir+json"}
    with running_server(database_url, tmp_path) as server, httpx.Client(headers=json_only) as client:
        for name, resource in good.items():
            stored = exact(client.get(address(server, resource)).text)
            assert without_version(stored) == without_version(exact(example_texts()[name])), name
        for name in faulty_examples():
            assert client.get(address(server, example(name))).status_code == 404


def exact(text):
    """Numbers as they are written: 1.50 is not 1.5 (R4 datatypes.html#decimal)."""
    return json.loads(text, parse_float=str)


def address(server, resource):
    return f"{server.base_url}/{resource['resourceType']}/{resource['id']}"


def without_version(resource):
    """The resource as its author wrote it: meta has what the server sets (R4 resource.html#Meta)."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    return {**resource, "meta": meta}


def test_wrong_nhs_numbers_are_stored_and_told_of(database_url, tmp_path):
    """NHS Data Dictionary, NHS NUMBER: an import is kept as it comes, and somebody has to look at it."""
    file = tmp_path / "patients.ndjson"
    system = "https://fhir.nhs.uk/Id/nhs-number"
    numbers = {"wrong": "9990000019", "right": "9990000018"}
    patients = [
        {"resourceType": "Patient", "id": name, "identifier": [{"system": system, "value": value}]}
        for name, value in numbers.items()
    ]
    file.write_text("".join(json.dumps(patient) + "\n" for patient in patients))
    done = load(database_url, file)
    assert done.returncode == 0, done.stderr
    assert "1 with an NHS number whose check digit is wrong: Patient/wrong" in done.stderr
    assert "9990000019" not in done.stdout + done.stderr
    with running_server(database_url, tmp_path) as server:
        assert total(server, "Patient") == 2


def test_a_large_load_that_is_killed_leaves_a_store_that_is_made_whole(engine, new_database, tmp_path):
    """docs/decisions/0014: its index is put off; whoever opens the store next makes it, and the load goes on."""
    database = new_database(engine)
    many = 6000
    padding = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"x" * 2000}</div>'}
    with (tmp_path / "in.ndjson").open("w") as out:
        for n in range(many):
            person = {"resourceType": "Patient", "id": f"n{n}", "gender": "male", "text": padding}
            out.write(json.dumps(person) + "\n")
    state = tmp_path / "state"
    command = [sys.executable, "-m", "fhir_server.cli.main", "load", tmp_path / "in.ndjson", "--database", database]
    loading = subprocess.Popen([*command, "--resume", state], stderr=subprocess.DEVNULL, start_new_session=True)
    while not state.exists():
        assert loading.poll() is None
    os.killpg(loading.pid, signal.SIGSTOP)
    # While it lasts nobody else gets in.
    check = [sys.executable, "-m", "fhir_server.cli.main", "check", "--database", database]
    beside = subprocess.run(check, capture_output=True, text=True, check=False)
    assert beside.returncode != 0
    assert "under way" in beside.stderr
    os.killpg(loading.pid, signal.SIGKILL)
    loading.wait()
    with running_server(database, tmp_path, "--no-content") as server:
        assert 500 <= total(server, "Patient?gender=male") < many
    done = load(database, tmp_path / "in.ndjson", "--resume", state)
    assert done.returncode == 0, done.stderr
    with running_server(database, tmp_path, "--no-content") as server:
        assert total(server, "Patient?gender=male") == many
    whole = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (whole.returncode, whole.stdout) == (0, "Everything agrees.\n")
