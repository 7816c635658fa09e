"""`fhir-server serve --score-on-write`: every write of a response stores, amends or withdraws its scores.

On a real server of each engine.
"""

import json
import subprocess
import sys

import httpx
import pytest

from tests.instruments.responses import response
from tests.live_server import running_server
from tests.long_request import ended


@pytest.fixture(scope="module")
def database(engine, new_database):
    return new_database(engine)


@pytest.fixture(scope="module")
def client(database, tmp_path_factory):
    directory = tmp_path_factory.mktemp("server")
    with (
        running_server(database, directory, "--score-on-write", "--no-content") as server,
        httpx.Client(base_url=f"{server.base_url}/", timeout=60) as client,
    ):
        yield client


def oks(answers, **elements):
    patient = {"reference": f"Patient/{elements['id']}"}
    return response("oks", answers, subject=patient, **elements)


def put(client, resource):
    answer = client.put(f"QuestionnaireResponse/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text
    assert answer.json()["item"] == resource["item"]
    return answer.json()


def scores(client, patient):
    """(value, status, version) of each stored Observation."""
    answer = client.get("Observation", params={"patient": patient}).json()
    found = [entry["resource"] for entry in answer.get("entry", ())]
    return [(one["valueQuantity"]["value"], one["status"], one["meta"]["versionId"]) for one in found]


def test_what_is_imported_is_scored(client):
    content = json.dumps(oks([4] * 12, id="imported", status="completed"))
    headers = {"Content-Type": "application/fhir+ndjson", "Accept": "application/json"}
    uploaded = client.post("Binary", content=content, headers=headers).headers["Location"].split("/")[-3]
    part = [
        {"name": "type", "valueCode": "QuestionnaireResponse"},
        {"name": "url", "valueUrl": f"Binary/{uploaded}"},
    ]
    body = {"resourceType": "Parameters", "parameter": [{"name": "input", "part": part}]}
    accepted = client.post("$import", json=body, headers={"Prefer": "respond-async"})
    assert accepted.status_code == 202, accepted.text
    assert ended(client, accepted.headers["Content-Location"]).json()["output"][0]["count"] == 1
    assert scores(client, "imported") == [(48, "final", "1")]


def test_scores_follow_the_response(client):
    stored = put(client, oks([4] * 12, id="follows", status="in-progress"))
    assert scores(client, "follows") == [(48, "preliminary", "1")]
    put(client, {**stored, "status": "completed"})
    assert scores(client, "follows") == [(48, "final", "2")]
    put(client, oks([3] * 12, id="follows", status="amended"))
    assert scores(client, "follows") == [(36, "amended", "3")]
    put(client, oks([3] * 12, id="follows", status="amended", language="en-GB"))
    assert scores(client, "follows") == [(36, "amended", "3")], "the same answers give the same scores"
    put(client, oks([3] * 12, id="follows", status="entered-in-error"))
    assert scores(client, "follows") == [(36, "entered-in-error", "4")]


def test_an_amendment_that_gives_no_score_takes_the_value_away(client):
    put(client, oks([4] * 12, id="emptied"))
    put(client, oks([4] * 6 + [None] * 6, id="emptied", status="amended"))
    (entry,) = client.get("Observation", params={"patient": "emptied"}).json()["entry"]
    assert (entry["resource"]["status"], entry["resource"].get("valueQuantity")) == ("amended", None)


def test_score_with_persist_has_nothing_left_to_do(client):
    put(client, oks([2] * 12, id="done"))
    given = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}
    assert client.post("QuestionnaireResponse/done/$score", json=given).status_code == 200
    assert scores(client, "done") == [(24, "final", "1")]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("half", {"item": oks([4] * 6 + [None] * 6, id="half")["item"]}),
        ("unknown", {"questionnaire": "https://example.org/Questionnaire/unknown"}),
        ("unnamed", {"questionnaire": None}),
        ("future", {"authored": "2999-01-01T00:00:00Z"}),
        ("error", {"status": "entered-in-error"}),
    ],
)
def test_what_cannot_be_scored_is_stored_all_the_same(client, name, changed):
    body = {key: value for key, value in {**oks([4] * 12, id=name), **changed}.items() if value is not None}
    put(client, body)
    assert scores(client, name) == []


def test_a_transaction_scores_and_reads_what_it_scored(client):
    """R4 http.html#trules: all in one; the references are those the transaction resolved."""
    patient = "urn:uuid:8f0b6c1e-4a1d-4a1b-9a55-0c7b2f1f8a11"
    entries = [
        {
            "fullUrl": patient,
            "resource": {"resourceType": "Patient", "id": "t"},
            "request": {"method": "PUT", "url": "Patient/t"},
        },
        *(
            {
                "resource": response("oks", [level] * 12, subject={"reference": patient}),
                "request": {"method": "POST", "url": "QuestionnaireResponse"},
            }
            for level in (1, 2)
        ),
    ]
    answer = client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    assert sorted(scores(client, "t")) == [(12, "final", "1"), (24, "final", "1")]


def test_a_patch_scores(client):
    put(client, oks([4] * 12, id="patched"))
    change = [{"op": "replace", "path": "/item/0/answer/0/valueCoding/code", "value": "0"}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = client.patch("QuestionnaireResponse/patched", content=json.dumps(change), headers=headers)
    assert answer.status_code == 200, answer.text
    assert scores(client, "patched") == [(44, "final", "2")]


def test_a_load_scores(database_url, tmp_path):
    file = tmp_path / "responses.ndjson"
    file.write_text("".join(json.dumps(oks([n % 5] * 12, id=f"l{n}")) + "\n" for n in range(30)))
    command = [sys.executable, "-m", "fhir_server.cli.main", "load", str(file), "--database", database_url]
    for _ in range(2):
        done = subprocess.run([*command, "--score-on-write"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with (
        running_server(database_url, tmp_path, "--no-content") as server,
        httpx.Client(base_url=f"{server.base_url}/") as client,
    ):
        assert [scores(client, f"l{n}") for n in range(30)] == [[(n % 5 * 12, "final", "1")] for n in range(30)]
        put(client, oks([4] * 12, id="by-default"))
        assert scores(client, "by-default") == []
