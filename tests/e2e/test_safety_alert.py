"""A PHQ-9 item 9 above 0 becomes a Flag and a Task whichever way the response comes in (docs/instruments.md).

On a real server of each engine.
"""

import json
import subprocess
import sys
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.instruments.responses import BASE, item, response
from tests.live_server import running_server, start_server

JSON_PATCH = "application/json-patch+json"
HARMLESS = [1, 1, 1, 0, 0, 0, 0, 0, 0]
ALARMING = [0, 0, 0, 0, 0, 0, 0, 0, 2]
ITEM_9 = "QuestionnaireResponse.item.where(linkId='q9').answer[0].value"


@pytest.fixture(scope="module")
def client(base_url):
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as client:
        yield client


@pytest.fixture
def patient():
    """A reference no other test uses."""
    return f"Patient/{uuid4().hex}"


def phq_9(patient, answers, **elements):
    return response("phq-9", answers, subject={"reference": patient}, **elements)


def put(client, resource):
    answer = client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def found(client, resource_type, **query):
    answer = client.get(resource_type, params={"_count": 1000, **query})
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", ())]


def alerts(client, patient):
    """The Flags and the safety Tasks of the patient."""
    return (
        found(client, "Flag", patient=patient),
        found(client, "Task", patient=patient, code=f"{BASE}/CodeSystem/msk-task-code|safety-review"),
    )


def assert_one_alert(client, patient):
    (flag,), (task,) = alerts(client, patient)
    assert (flag["status"], task["status"]) == ("active", "requested")
    assert [flag["meta"]["versionId"], task["meta"]["versionId"]] == ["1", "1"]
    return flag, task


def bundle(kind, *entries):
    listed = [{"request": {"method": method, "url": url}, **more} for method, url, more in entries]
    return {"resourceType": "Bundle", "type": kind, "entry": listed}


def test_what_is_stored(client, patient):
    """R4 flag.html, task.html; what an integrator's worklist and record view read."""
    created = client.post("QuestionnaireResponse", json=phq_9(patient, ALARMING, basedOn=[{"reference": "CarePlan/c"}]))
    assert created.status_code == 201
    answers = {"reference": f"QuestionnaireResponse/{created.json()['id']}"}
    flag, task = assert_one_alert(client, patient)
    coding = flag["code"]["coding"][0]
    assert (coding["system"], coding["code"]) == (f"{BASE}/CodeSystem/msk-score", "phq-9.item9")
    assert flag["category"][0]["coding"][0]["code"] == "safety"
    assert (flag["subject"], flag["period"]) == ({"reference": patient}, {"start": "2026-03-01T09:30:00Z"})
    assert flag["extension"][0]["valueReference"] == answers
    assert (task["intent"], task["priority"], task["focus"]) == ("order", "urgent", answers)
    assert (task["for"], task["basedOn"]) == ({"reference": patient}, [{"reference": "CarePlan/c"}])
    assert task["reasonReference"] == {"reference": f"Flag/{flag['id']}"}
    assert "answered 2" in task["description"]
    assert "authoredOn" in task
    for resource in (flag, task):
        outcome = client.post(f"{resource['resourceType']}/$validate", json=resource).json()
        assert not [issue for issue in outcome["issue"] if issue["severity"] in ("error", "fatal")]
    assert found(client, "Task", focus=answers["reference"]) == [task]
    assert found(client, "Observation", patient=patient) == [], "scores are stored when asked for"


@pytest.mark.parametrize("status", ["completed", "amended", "in-progress", "stopped"])
def test_every_status_but_entered_in_error(client, patient, status):
    """R4 questionnaire-answers-status; also of a response that has no total."""
    body = phq_9(patient, [None] * 8 + [1], status=status)
    client.post("QuestionnaireResponse", json=body)
    assert_one_alert(client, patient)


@pytest.mark.parametrize(
    "body",
    [
        phq_9("Patient/calm", HARMLESS),
        phq_9("Patient/calm", [3] * 8 + [None]),
        phq_9("Patient/calm", ALARMING, status="entered-in-error"),
        response("oks", [4] * 12, subject={"reference": "Patient/calm"}),
        {
            **phq_9("Patient/calm", HARMLESS),
            "questionnaire": "https://example.org/Questionnaire/other",
            "item": [{"linkId": "q9", "answer": [{"valueInteger": 3}]}],
        },
    ],
    ids=["answered 0", "not answered", "entered in error", "another instrument", "another questionnaire"],
)
def test_what_raises_no_alert(client, body):
    assert client.post("QuestionnaireResponse", json=body).status_code == 201
    assert alerts(client, "Patient/calm") == ([], [])


def create(client, patient, name):
    return client.post("QuestionnaireResponse", json=phq_9(patient, ALARMING))


def conditional_create(client, patient, name):
    headers = {"If-None-Exist": f"identifier=urn:test|{name}"}
    body = phq_9(patient, ALARMING, identifier={"system": "urn:test", "value": name})
    client.post("QuestionnaireResponse", json=body, headers=headers)
    return client.post("QuestionnaireResponse", json=body, headers=headers)


def update_as_create(client, patient, name):
    return client.put(f"QuestionnaireResponse/{name}", json=phq_9(patient, ALARMING, id=name))


def update(client, patient, name):
    put(client, phq_9(patient, HARMLESS, id=name))
    return client.put(f"QuestionnaireResponse/{name}", json=phq_9(patient, ALARMING, id=name, status="amended"))


def conditional_update(client, patient, name):
    body = phq_9(patient, ALARMING, identifier={"system": "urn:test", "value": name})
    return client.put("QuestionnaireResponse", params={"identifier": f"urn:test|{name}"}, json=body)


def json_patch(client, patient, name):
    put(client, phq_9(patient, HARMLESS, id=name))
    changed = [{"op": "replace", "path": "/item/8/answer/0/valueCoding/code", "value": "3"}]
    return client.patch(
        f"QuestionnaireResponse/{name}", content=json.dumps(changed), headers={"Content-Type": JSON_PATCH}
    )


def fhirpath_patch_parameters():
    operation = {
        "type": "replace",
        "path": f"{ITEM_9}.code",
        "value": "1",
    }
    parts = [
        {"name": name, ("valueString" if name == "path" else "valueCode"): value} for name, value in operation.items()
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def fhirpath_patch(client, patient, name):
    put(client, phq_9(patient, HARMLESS, id=name))
    headers = {"Content-Type": "application/fhir+json"}
    content = json.dumps(fhirpath_patch_parameters())
    return client.patch(f"QuestionnaireResponse/{name}", content=content, headers=headers)


def conditional_patch(client, patient, name):
    put(client, phq_9(patient, HARMLESS, id=name, identifier={"system": "urn:test", "value": name}))
    changed = [{"op": "replace", "path": "/item/8/answer/0/valueCoding/code", "value": "3"}]
    return client.patch(
        "QuestionnaireResponse",
        params={"identifier": f"urn:test|{name}"},
        content=json.dumps(changed),
        headers={"Content-Type": JSON_PATCH},
    )


def batch(client, patient, name):
    entry = ("POST", "QuestionnaireResponse", {"resource": phq_9(patient, ALARMING)})
    return client.post("", json=bundle("batch", entry))


def transaction_post(client, patient, name):
    """The reference to the patient is one that the transaction resolves."""
    url = f"urn:uuid:{uuid4()}"
    person = ("PUT", patient, {"fullUrl": url, "resource": {"resourceType": "Patient", "id": patient.split("/")[1]}})
    answers = ("POST", "QuestionnaireResponse", {"resource": phq_9(url, ALARMING)})
    return client.post("", json=bundle("transaction", answers, person))


def transaction_put(client, patient, name):
    """The patient is named by a conditional reference."""
    person = {
        "resourceType": "Patient",
        "id": patient.split("/")[1],
        "identifier": [{"system": "urn:test", "value": name}],
    }
    put(client, person)
    named = f"Patient?identifier=urn:test|{name}"
    entry = ("PUT", f"QuestionnaireResponse/{name}", {"resource": phq_9(named, ALARMING, id=name)})
    return client.post("", json=bundle("transaction", entry))


def transaction_patch(client, patient, name):
    put(client, phq_9(patient, HARMLESS, id=name))
    changed = [{"op": "replace", "path": "/item/8/answer/0/valueCoding/code", "value": "3"}]
    data = b64encode(json.dumps(changed).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": data}
    entry = ("PATCH", f"QuestionnaireResponse/{name}", {"resource": binary})
    return client.post("", json=bundle("transaction", entry))


WAYS = [
    create,
    conditional_create,
    update_as_create,
    update,
    conditional_update,
    json_patch,
    fhirpath_patch,
    conditional_patch,
    batch,
    transaction_post,
    transaction_put,
    transaction_patch,
]


@pytest.mark.parametrize("write", WAYS, ids=lambda write: write.__name__)
def test_every_way_in(client, patient, write):
    answer = write(client, patient, f"w{uuid4().hex}")
    assert answer.status_code in (200, 201), answer.text
    assert_one_alert(client, patient)


def test_a_write_that_is_refused_alerts_nobody(client, patient):
    """R4 http.html#trules: all entries or none, and so what they bring with them."""
    good = ("POST", "QuestionnaireResponse", {"resource": phq_9(patient, ALARMING)})
    bad = ("PATCH", f"Patient/{uuid4().hex}", {"resource": fhirpath_patch_parameters()})
    assert client.post("", json=bundle("transaction", good, bad)).status_code == 404
    assert alerts(client, patient) == ([], [])


def test_the_alert_has_the_moment_of_its_response(client, patient):
    created = client.post("QuestionnaireResponse", json=phq_9(patient, ALARMING)).json()
    flag, task = assert_one_alert(client, patient)
    moments = {resource["meta"]["lastUpdated"] for resource in (created, flag, task)}
    assert len(moments) == 1


def test_later_answers_touch_nothing(client, patient):
    name = f"w{uuid4().hex}"
    put(client, phq_9(patient, ALARMING, id=name, status="in-progress"))
    before = assert_one_alert(client, patient)
    for answers, status in [
        (ALARMING, "in-progress"),
        (ALARMING, "completed"),
        ([0] * 8 + [3], "amended"),
        (HARMLESS, "amended"),
        (HARMLESS, "entered-in-error"),
        (ALARMING, "completed"),
    ]:
        put(client, phq_9(patient, answers, id=name, status=status))
    assert assert_one_alert(client, patient) == before
    assert client.delete(f"QuestionnaireResponse/{name}").status_code == 204
    assert assert_one_alert(client, patient) == before


def test_what_a_clinician_closed_stays_closed(client, patient):
    name = f"w{uuid4().hex}"
    put(client, phq_9(patient, ALARMING, id=name))
    flag, task = assert_one_alert(client, patient)
    put(client, {**flag, "status": "inactive"})
    put(client, {**task, "status": "completed"})
    put(client, phq_9(patient, ALARMING, id=name, status="amended"))
    client.post(f"QuestionnaireResponse/{name}/$score", json=persist())
    (flag,), (task,) = alerts(client, patient)
    assert (flag["status"], flag["meta"]["versionId"]) == ("inactive", "2")
    assert (task["status"], task["meta"]["versionId"]) == ("completed", "2")


def test_what_was_deleted_is_not_stored_again(client, patient):
    name = f"w{uuid4().hex}"
    put(client, phq_9(patient, ALARMING, id=name))
    flag, task = assert_one_alert(client, patient)
    for resource in (flag, task):
        assert client.delete(f"{resource['resourceType']}/{resource['id']}").status_code == 204
    put(client, phq_9(patient, ALARMING, id=name, status="amended"))
    client.post(f"QuestionnaireResponse/{name}/$score", json=persist())
    assert alerts(client, patient) == ([], [])


def test_answers_given_to_another_patient_alert_about_that_one(client, patient):
    name, other = f"w{uuid4().hex}", f"Patient/{uuid4().hex}"
    put(client, phq_9(patient, ALARMING, id=name))
    before = assert_one_alert(client, patient)
    put(client, phq_9(other, ALARMING, id=name, status="amended"))
    assert_one_alert(client, other)
    assert assert_one_alert(client, patient) == before


def test_a_response_about_nobody_gives_a_task_that_says_so(client):
    """R4 Flag.subject is 1..1, Task.for 0..1."""
    body = phq_9("", ALARMING)
    del body["subject"]
    created = client.post("QuestionnaireResponse", json=body).json()
    (task,) = found(client, "Task", focus=f"QuestionnaireResponse/{created['id']}")
    assert "for" not in task
    assert "no Flag" in task["description"]
    put(client, {**created, "subject": {"reference": "Patient/found-at-last"}})
    assert_one_alert(client, "Patient/found-at-last")


def test_a_deleted_patient_gets_no_new_record(client, patient):
    put(client, {"resourceType": "Patient", "id": patient.split("/")[1]})
    assert client.delete(patient).status_code == 204
    assert client.post("QuestionnaireResponse", json=phq_9(patient, ALARMING)).status_code == 201
    assert alerts(client, patient) == ([], [])


def test_an_erased_alert_comes_back_with_the_next_write(client, patient):
    """$purge leaves nothing that could say that it was there; also where the response itself does not change."""
    name = f"w{uuid4().hex}"
    stored = put(client, phq_9(patient, ALARMING, id=name))
    for resource in assert_one_alert(client, patient):
        assert client.post(f"{resource['resourceType']}/{resource['id']}/$purge").status_code == 200
    assert alerts(client, patient) == ([], [])
    assert put(client, stored)["meta"]["versionId"] == "1"
    assert_one_alert(client, patient)


def test_writers_of_the_same_response_make_one_alert(database_url, tmp_path):
    """In two processes; on PostgreSQL each writes for itself."""
    with (
        running_server(database_url, tmp_path, "--no-content", "--workers", "2") as server,
        httpx.Client(base_url=f"{server.base_url}/", timeout=60) as client,
        ThreadPoolExecutor(8) as pool,
    ):

        def write(number):
            body = phq_9("Patient/one", ALARMING, id="same", authored=f"2026-03-01T09:30:{number:02}Z")
            # a connection of its own, so that either process may get it
            return httpx.put(f"{server.base_url}/QuestionnaireResponse/same", json=body, timeout=60).status_code

        assert sorted(pool.map(write, range(24))) == [200] * 23 + [201]
        assert_one_alert(client, "Patient/one")


def persist():
    return {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}


def test_score_stores_the_alert_of_a_questionnaire_that_only_the_caller_names(client, patient):
    """A write cannot know what other codes were answered; $score with persist does, and stores the same."""
    body = phq_9(patient, ALARMING)
    canonical = body.pop("questionnaire")
    (item_9,) = (item for item in body["item"] if item["linkId"] == "q9")
    item_9["answer"] = [{"valueInteger": 1}]
    created = client.post("QuestionnaireResponse", json=body).json()
    assert alerts(client, patient) == ([], [])
    given = persist()
    given["parameter"].append({"name": "questionnaire", "valueCanonical": canonical})
    for _ in range(2):
        answer = client.post(f"QuestionnaireResponse/{created['id']}/$score", json=given)
        assert answer.status_code == 422, "an integer is no option"
        assert_one_alert(client, patient)


def load(database, *arguments):
    command = [sys.executable, "-m", "fhir_server.cli.main", "load", *map(str, arguments), "--database", database]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loaded_responses_alert(database_url, tmp_path):
    """Prepared in other processes and written in large groups; loading again changes nothing."""
    bodies = [phq_9(f"Patient/{n % 7}", ALARMING if n % 3 else HARMLESS, id=f"l{n}") for n in range(40)]
    anonymous = phq_9("Patient/anonymous", ALARMING)
    executed = bundle("transaction", ("POST", "QuestionnaireResponse", {"resource": phq_9("Patient/b", ALARMING)}))
    file = tmp_path / "responses.ndjson"
    file.write_text("".join(json.dumps(one) + "\n" for one in [*bodies, anonymous]))
    assert "41 created, 0 updated" in load(database_url, file)
    file.write_text("".join(json.dumps(one) + "\n" for one in bodies))
    assert "0 created, 0 updated, 40 unchanged" in load(database_url, file)
    file.write_text(json.dumps(executed))
    load(database_url, file, "--execute")
    with (
        running_server(database_url, tmp_path, "--no-content") as server,
        httpx.Client(base_url=server.base_url) as client,
    ):
        for number in range(7):
            flags, tasks = alerts(client, f"Patient/{number}")
            expected = sum(n % 7 == number and n % 3 > 0 for n in range(40))
            assert [one["meta"]["versionId"] for one in (*flags, *tasks)] == ["1"] * 2 * expected
        assert_one_alert(client, "Patient/anonymous")
        assert_one_alert(client, "Patient/b")


def test_after_kill_9_a_response_and_its_alert_are_there_together_or_not_at_all(database_url, tmp_path):
    server = start_server(database_url, tmp_path, "--no-content")
    acknowledged = 0
    try:
        with httpx.Client(base_url=f"{server.base_url}/", timeout=60) as client, ThreadPoolExecutor(8) as pool:

            def write(number):
                try:
                    return client.put(
                        f"QuestionnaireResponse/k{number}", json=phq_9(f"Patient/k{number}", ALARMING, id=f"k{number}")
                    ).status_code
                except httpx.TransportError:
                    return None

            answers = pool.map(write, range(400))
            for answer in answers:
                acknowledged += answer == 201
                if acknowledged == 100 and server.process.poll() is None:
                    server.kill()
            list(answers)
        server = start_server(database_url, tmp_path, "--no-content")
        with httpx.Client(base_url=f"{server.base_url}/", timeout=60) as client:
            responses = {one["id"] for one in found(client, "QuestionnaireResponse")}
            flagged = {one["subject"]["reference"].split("/")[1] for one in found(client, "Flag")}
            asked = {one["for"]["reference"].split("/")[1] for one in found(client, "Task")}
    finally:
        server.kill()
    assert 400 > len(responses) >= 100 <= acknowledged
    assert flagged == asked == responses


def test_the_item_is_found_wherever_it_stands(client, patient):
    """Better once too often than once too little: another version, nested in a group, answered by a number."""
    nested = {"linkId": "g", "item": [{"linkId": "q9", "answer": [{"valueInteger": 1}]}]}
    body = {**phq_9(patient, []), "item": [item("phq-9", "q1", 0), nested]}
    body["questionnaire"] = f"{BASE}/Questionnaire/phq-9|7.7.7"
    client.post("QuestionnaireResponse", json=body)
    assert_one_alert(client, patient)
