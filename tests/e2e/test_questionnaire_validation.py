"""A response that does not fit its Questionnaire is refused whichever way it comes in, and nothing is half-written.

On a real server of each engine; the rules one by one are tests/cases/questionnaire_response, sent over HTTP here.
"""

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.instruments.responses import response
from tests.live_server import running_server

CASES = Path(__file__).parents[1] / "cases" / "questionnaire_response"
JSON_PATCH = "application/json-patch+json"
ANSWER = "QuestionnaireResponse.item[0].answer[0].value"


@pytest.fixture(scope="module")
def client(base_url):
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as client:
        yield client


def questionnaire(name, version="1", maximum=10, status="active", **elements):
    limit = {"url": "http://hl7.org/fhir/StructureDefinition/maxValue", "valueInteger": maximum}
    items = [{"linkId": "a", "type": "integer", "required": True, "extension": [limit]}]
    return {
        "resourceType": "Questionnaire",
        "id": f"{name}-{version.replace('.', '-')}",
        "url": f"urn:test:{name}",
        "version": version,
        "status": status,
        "item": items,
        **elements,
    }


def answered(name, value=5, version="", **elements):
    answer = [] if value is None else [{"linkId": "a", "answer": [{"valueInteger": value}]}]
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"urn:test:{name}{version}",
        "status": "completed",
        **({"item": answer} if answer else {}),
        **elements,
    }


@pytest.fixture
def name(client):
    """The name of a Questionnaire with one item, an integer of at most 10."""
    name = f"q{uuid4().hex}"
    assert client.put(f"Questionnaire/{name}-1", json=questionnaire(name)).status_code == 201
    return name


def entry(method, url, resource, **more):
    return {"request": {"method": method, "url": url}, "resource": resource, **more}


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def issues(answer):
    return [(issue["code"], issue.get("expression", [None])[0]) for issue in answer.json()["issue"]]


def count(client, name):
    return client.get("QuestionnaireResponse", params={"questionnaire": f"urn:test:{name}", "_summary": "count"}).json()


def rules():
    for file in sorted(CASES.glob("*.json")):
        for case in json.loads(file.read_text())["cases"]:
            yield pytest.param(case, id=f"{file.stem}: {case['title']} ({case['section']})")


@pytest.mark.parametrize("case", list(rules()))
def test_every_rule(client, case):
    """422 with each fault's code and place; what fits is stored. One batch for all responses of a rule."""
    url = f"urn:test:{uuid4().hex}"
    form = {"resourceType": "Questionnaire", "url": url, "status": "active", **case["questionnaire"]}
    assert client.post("Questionnaire", json=form).status_code == 201
    entries = [
        entry(
            "POST",
            "QuestionnaireResponse",
            {
                "resourceType": "QuestionnaireResponse",
                "questionnaire": url,
                "status": sent.get("status", "completed"),
                **({"item": sent["item"]} if sent["item"] else {}),
            },
        )
        for sent in case["responses"]
    ]
    done = client.post("", json=bundle("batch", *entries)).json()["entry"]
    for sent, one in zip(case["responses"], done, strict=True):
        told = one["response"].get("outcome", {}).get("issue", [])
        found = sorted([issue["code"], issue["expression"][0]] for issue in told)
        assert (one["response"]["status"], found) == ("422" if sent["issues"] else "201", sorted(sent["issues"])), sent


def create(client, name, value):
    return client.post("QuestionnaireResponse", json=answered(name, value))


def conditional_create(client, name, value):
    headers = {"If-None-Exist": f"identifier=urn:test|{name}"}
    return client.post("QuestionnaireResponse", json=answered(name, value), headers=headers)


def update_as_create(client, name, value):
    return client.put(f"QuestionnaireResponse/{name}", json=answered(name, value, id=name))


def update(client, name, value):
    update_as_create(client, name, 1)
    return update_as_create(client, name, value)


def conditional_update(client, name, value):
    return client.put("QuestionnaireResponse?identifier=urn:test|none-has-it", json=answered(name, value))


def json_patch(client, name, value):
    update_as_create(client, name, 1)
    content = json.dumps([{"op": "replace", "path": "/item/0/answer/0/valueInteger", "value": value}])
    return client.patch(f"QuestionnaireResponse/{name}", content=content, headers={"Content-Type": JSON_PATCH})


def fhirpath_patch(client, name, value):
    update_as_create(client, name, 1)
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "QuestionnaireResponse.item[0].answer[0].value"},
        {"name": "value", "valueInteger": value},
    ]
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    return client.patch(f"QuestionnaireResponse/{name}", json=body, headers={"Content-Type": "application/fhir+json"})


def persist(client, name, value):
    given = [{"name": "response", "resource": answered(name, value)}, {"name": "persist", "valueBoolean": True}]
    return client.post("QuestionnaireResponse/$score", json={"resourceType": "Parameters", "parameter": given})


@pytest.mark.parametrize(
    "write",
    [create, conditional_create, update_as_create, update, conditional_update, json_patch, fhirpath_patch, persist],
    ids=lambda write: write.__name__,
)
def test_every_way_in(client, name, write):
    before = count(client, name)["total"]
    refused = write(client, name, 11)
    assert (refused.status_code, issues(refused)) == (422, [("value", ANSWER)])
    stored = client.get("QuestionnaireResponse", params={"questionnaire": f"urn:test:{name}"}).json()
    values = [one["resource"]["item"][0]["answer"][0]["valueInteger"] for one in stored.get("entry", ())]
    assert values == ([] if count(client, name)["total"] == before else [1])
    if write is not persist:
        assert write(client, name, 10).status_code in (200, 201)


def test_transaction_and_batch(client, name):
    """R4 http.html#trules, #brules: all or none; each by itself. The issue is placed in the Bundle."""
    good = entry("POST", "QuestionnaireResponse", answered(name))
    bad = entry("POST", "QuestionnaireResponse", answered(name, 11))
    refused = client.post("", json=bundle("transaction", good, bad))
    place = "Bundle.entry[1].resource.item[0].answer[0].value"
    assert (refused.status_code, issues(refused)) == (422, [("value", place)])
    assert count(client, name)["total"] == 0
    done = client.post("", json=bundle("batch", good, bad)).json()["entry"]
    assert [one["response"]["status"] for one in done] == ["201", "422"]
    update_as_create(client, name, 1)
    content = json.dumps([{"op": "replace", "path": "/item/0/answer/0/valueInteger", "value": 11}])
    binary = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": b64encode(content.encode()).decode()}
    refused = client.post("", json=bundle("transaction", entry("PATCH", f"QuestionnaireResponse/{name}", binary)))
    assert (refused.status_code, issues(refused)) == (422, [("value", place.replace("[1]", "[0]", 1))])
    assert client.get(f"QuestionnaireResponse/{name}").json()["meta"]["versionId"] == "1"


def test_a_questionnaire_in_the_same_transaction(client):
    """R4 http.html#trules: the outcome does not depend on the order of the entries."""
    name = f"q{uuid4().hex}"
    form = entry("PUT", f"Questionnaire/{name}-1", questionnaire(name))
    bad = entry("POST", "QuestionnaireResponse", answered(name, 11))
    for entries in ((form, bad), (bad, form)):
        assert client.post("", json=bundle("transaction", *entries)).status_code == 422
    good = entry("POST", "QuestionnaireResponse", answered(name))
    assert client.post("", json=bundle("transaction", good, form)).status_code == 200


def test_the_questionnaire_as_it_is_now(client, name):
    """A change counts from the next write on; a deletion too."""
    assert create(client, name, 11).status_code == 422
    client.put(f"Questionnaire/{name}-1", json=questionnaire(name, maximum=20))
    assert create(client, name, 11).status_code == 201
    assert create(client, name, 21).status_code == 422
    client.delete(f"Questionnaire/{name}-1")
    assert create(client, name, 21).status_code == 201


def test_which_version_is_meant(client, name):
    """R4 references.html#canonical: the version named, else the newest; active before draft, draft before retired."""
    client.put(f"Questionnaire/{name}-1-10", json=questionnaire(name, "1.10", maximum=30))
    client.put(f"Questionnaire/{name}-1-9", json=questionnaire(name, "1.9", maximum=20))
    client.put(f"Questionnaire/{name}-2", json=questionnaire(name, "2", maximum=40, status="draft"))
    for version, maximum in (("", 30), ("|1", 10), ("|1.9", 20), ("|2", 40)):
        for value, status in ((maximum, 201), (maximum + 1, 422)):
            answer = client.post("QuestionnaireResponse", json=answered(name, value, version))
            assert answer.status_code == status, (version, value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"questionnaire": None}, "QuestionnaireResponse"),
        ({"questionnaire": "urn:test:nowhere"}, "QuestionnaireResponse.questionnaire"),
        ({"questionnaire": "#q"}, "QuestionnaireResponse.questionnaire"),
    ],
)
def test_without_a_questionnaire_here_it_is_stored_with_a_warning(client, changed, told):
    body = {key: value for key, value in {**answered("x", 11), **changed}.items() if value is not None}
    answer = client.post("QuestionnaireResponse", json=body, headers={"Prefer": "return=OperationOutcome"})
    assert answer.status_code == 201
    assert [(one["severity"], one["code"]) for one in answer.json()["issue"]] == [
        ("information", "informational"),
        ("warning", "incomplete"),
    ]
    assert answer.json()["issue"][1]["expression"] == [told]


def test_a_contained_questionnaire(client):
    form = {**questionnaire("x"), "id": "q"}
    body = {**answered("x", 11), "questionnaire": "#q", "contained": [form]}
    assert issues(client.post("QuestionnaireResponse", json=body)) == [("value", ANSWER)]


def test_a_value_set_that_is_stored(client, name):
    """R4 Questionnaire.item.answerValueSet; the expansion is that of now."""
    url = f"urn:test:vs:{name}"
    codes = [{"system": "urn:test:s", "concept": [{"code": "1"}]}]
    items = [{"linkId": "a", "type": "choice", "answerValueSet": url}]
    client.put(f"Questionnaire/{name}-1", json=questionnaire(name, item=items))
    body = answered(name, item=[{"linkId": "a", "answer": [{"valueCoding": {"system": "urn:test:s", "code": "2"}}]}])
    outcome = {"Prefer": "return=OperationOutcome"}
    told = client.post("QuestionnaireResponse", json=body, headers=outcome)
    assert (told.status_code, told.json()["issue"][-1]["code"]) == (201, "incomplete")
    value_set = {"resourceType": "ValueSet", "id": name, "url": url, "status": "active", "compose": {"include": codes}}
    assert client.put(f"ValueSet/{name}", json=value_set).status_code == 201
    assert issues(client.post("QuestionnaireResponse", json=body)) == [("code-invalid", ANSWER)]
    codes[0]["concept"].append({"code": "2"})
    client.put(f"ValueSet/{name}", json=value_set)
    assert client.post("QuestionnaireResponse", json=body).status_code == 201


def test_validate_says_so_too(client, name):
    """R4 resource-operation-validate.html, mode create: whether it would be accepted."""
    answer = client.post("QuestionnaireResponse/$validate", params={"mode": "create"}, json=answered(name, 11))
    assert (answer.status_code, issues(answer)) == (200, [("value", ANSWER)])


def test_what_is_refused_alarms_by_its_answer(client):
    """A PHQ-9 with item 9 above 0 that is not stored must not be lost silently."""
    patient = f"Patient/{uuid4().hex}"
    body = response("phq-9", [1] * 8 + [2], subject={"reference": patient})
    body["item"][0]["answer"][0]["valueCoding"]["code"] = "7"
    refused = client.post("QuestionnaireResponse", json=body)
    assert refused.status_code == 422
    warning, error = refused.json()["issue"]
    assert (warning["severity"], warning["expression"]) == (
        "warning",
        ["QuestionnaireResponse.item.where(linkId='q9')"],
    )
    assert "answered 2" in warning["diagnostics"]
    assert (error["severity"], error["code"]) == ("error", "code-invalid")
    assert "entry" not in client.get("Flag", params={"patient": patient}).json()


def test_load(engine, new_database, tmp_path):
    """`fhir-server load`: what does not fit is a refusal of its own, the rest of the file is stored."""
    lines = [questionnaire("l"), answered("l", 5, id="fits"), answered("l", 11, id="beyond"), answered("m", id="none")]
    file = tmp_path / "all.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)))
    database = new_database(engine)
    command = [
        sys.executable,
        "-m",
        "fhir_server.cli.main",
        "load",
        str(file),
        "--database",
        database,
        "--workers",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "QuestionnaireResponse/beyond" in done.stdout + done.stderr
    with running_server(database, tmp_path, "--no-content") as server:
        found = httpx.get(f"{server.base_url}/QuestionnaireResponse").json()
    assert {one["resource"]["id"] for one in found["entry"]} == {"fits", "none"}


def test_it_can_be_turned_off(engine, new_database, tmp_path):
    with running_server(new_database(engine), tmp_path, "--no-content", "--questionnaire-validation", "off") as server:
        base = server.base_url
        assert httpx.put(f"{base}/Questionnaire/o-1", json=questionnaire("o")).status_code == 201
        assert httpx.post(f"{base}/QuestionnaireResponse", json=answered("o", 11)).status_code == 201
