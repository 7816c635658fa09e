"""Persona A, the hospital integration engineer: what the server can do, a referral in one transaction, its triage.

Steps 1, 5 and 6. Adapted: SMART's configuration comes with authorization; the pathway is the version that
is shipped; the identifiers are of the range for tests.
"""

import httpx
import pytest

from tests.e2e.simulation.referral import CATEGORY

BASE = "https://fhir.example.org/msk"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
UBRN = "https://fhir.nhs.uk/Id/UBRN"


@pytest.fixture(scope="module")
def client(base_url):
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as client:
        yield client


def transaction(number, ubrn, letter=None):
    """Patient by conditional update, the referral unless it is there, the letter; all by urn:uuid."""
    patient, referral, document = (f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
    resources = [
        (
            patient,
            {
                "resourceType": "Patient",
                "identifier": [{"system": NHS_NUMBER, "value": number}],
                "name": [{"family": "Example"}],
                "birthDate": "1951-03-07",
            },
            {"method": "PUT", "url": f"Patient?identifier={NHS_NUMBER}|{number}"},
        ),
        (
            referral,
            {
                "resourceType": "ServiceRequest",
                "identifier": [{"system": UBRN, "value": ubrn}],
                "status": "draft",
                "intent": "order",
                "category": CATEGORY,
                "priority": "urgent",
                "subject": {"reference": patient},
                "authoredOn": "2026-11-20",
                "requester": {"display": "A practice"},
                "reasonCode": [{"text": "Knee pain"}],
                "supportingInfo": [{"reference": document}],
            },
            {"method": "POST", "url": "ServiceRequest", "ifNoneExist": f"identifier={UBRN}|{ubrn}"},
        ),
        (
            document,
            letter
            or {
                "resourceType": "DocumentReference",
                "status": "current",
                "subject": {"reference": patient},
                "content": [{"attachment": {"contentType": "text/plain", "data": "QSBsZXR0ZXIu"}}],
            },
            {"method": "POST", "url": "DocumentReference"},
        ),
    ]
    entries = [{"fullUrl": url, "resource": resource, "request": request} for url, resource, request in resources]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def total(client, resource_type, **criteria):
    return client.get(resource_type, params={**criteria, "_summary": "count"}).json()["total"]


def test_1_the_server_says_what_it_can_do(client):
    answer = client.get("metadata")
    assert answer.status_code == 200
    (rest,) = answer.json()["rest"]
    resources = {resource["type"]: resource for resource in rest["resource"]}
    operations = {
        (name, operation["name"]) for name, resource in resources.items() for operation in resource.get("operation", ())
    }
    assert {
        ("PlanDefinition", "apply"),
        ("CarePlan", "replan"),
        ("ServiceRequest", "submit"),
        ("ServiceRequest", "triage"),
        ("Patient", "timeline"),
        ("Questionnaire", "populate"),
        ("QuestionnaireResponse", "score"),
        ("Observation", "lastn"),
    } <= operations
    parameters = {parameter["name"] for parameter in resources["Task"]["searchParam"]}
    assert {"due", "status", "patient", "focus"} <= parameters


def test_5_a_referral_in_one_transaction_is_stored_whole_and_once(client):
    number, ubrn = "9990000018", "000000070000"
    for _ in range(2):
        answer = client.post("", json=transaction(number, ubrn))
        assert answer.status_code == 200, answer.text
    assert total(client, "Patient", identifier=f"{NHS_NUMBER}|{number}") == 1
    (entry,) = client.get("ServiceRequest", params={"identifier": f"{UBRN}|{ubrn}"}).json()["entry"]
    referral = entry["resource"]
    patient = client.get(referral["subject"]["reference"]).json()
    assert patient["identifier"][0]["value"] == number
    document = client.get(referral["supportingInfo"][0]["reference"]).json()
    assert document["subject"] == referral["subject"]


def test_5_a_bad_third_entry_stores_nothing(client):
    number, ubrn = "9990000026", "000000070001"
    answer = client.post("", json=transaction(number, ubrn, letter={"resourceType": "DocumentReference"}))
    assert answer.status_code == 400
    issue = answer.json()["issue"][0]
    assert "entry[2]" in issue["expression"][0], issue
    assert total(client, "Patient", identifier=f"{NHS_NUMBER}|{number}") == 0
    assert total(client, "ServiceRequest", identifier=f"{UBRN}|{ubrn}") == 0


def test_6_triage_makes_the_requests_and_the_plan_at_once(client):
    """Both services get a child request; a stale ETag is 412, the same move again 422."""
    number, ubrn = "9990000034", "000000070002"
    for service in ("ortho", "therapy"):
        client.put(f"HealthcareService/{service}", json={"resourceType": "HealthcareService", "id": service})
    assert client.post("", json=transaction(number, ubrn)).status_code == 200
    referral = look(client, ubrn)
    move(client, referral, "submit")
    referral = look(client, ubrn)
    move(client, referral, "start-triage")
    stale, referral = referral, look(client, ubrn)
    outcome = [
        {"name": "outcome", "valueCode": "accept"},
        {"name": "service", "valueString": "HealthcareService/ortho"},
        {"name": "service", "valueString": "HealthcareService/therapy"},
        {"name": "pathway", "valueCanonical": f"{BASE}/PlanDefinition/knee-oa-arthroplasty|1.0.0"},
    ]
    assert move(client, stale, "triage", *outcome, status=412)["issue"][0]["code"] == "conflict"
    path = f"ServiceRequest/{referral['id']}/$triage"
    parameters = {"resourceType": "Parameters", "parameter": outcome}
    assert client.post(path, json=parameters).status_code == 400, "If-Match is required"

    made = [entry["resource"] for entry in move(client, referral, "triage", *outcome)["entry"]]
    children = [one for one in made if {"reference": f"ServiceRequest/{referral['id']}"} in one.get("basedOn", ())]
    children = [one for one in children if one["resourceType"] == "ServiceRequest"]
    assert sorted(one["performer"][0]["reference"] for one in children) == [
        "HealthcareService/ortho",
        "HealthcareService/therapy",
    ]
    (plan,) = [one for one in made if one["resourceType"] == "CarePlan"]
    assert plan["instantiatesCanonical"] == [f"{BASE}/PlanDefinition/knee-oa-arthroplasty|1.0.0"]
    steps = [one for one in made if {"reference": f"CarePlan/{plan['id']}"} in one.get("basedOn", ())]
    assert len(steps) >= 12
    (task,) = [one for one in made if one["resourceType"] == "Task" and "businessStatus" in one]
    assert (task["status"], task["businessStatus"]["coding"][0]["code"]) == ("completed", "accepted")

    again = move(client, look(client, ubrn), "triage", *outcome, status=422)["issue"][0]
    assert again["code"] == "business-rule"
    assert "waitlist" in again["diagnostics"], "it names the moves that are legal"
    assert total(client, "CarePlan", subject=referral["subject"]["reference"]) == 1


def look(client, ubrn):
    (entry,) = client.get("ServiceRequest", params={"identifier": f"{UBRN}|{ubrn}"}).json()["entry"]
    return entry["resource"]


def move(client, referral, name, *given, status=200):
    """A move of the referral as it was read."""
    answer = client.post(
        f"ServiceRequest/{referral['id']}/${name}",
        json={"resourceType": "Parameters", "parameter": list(given)},
        headers={"If-Match": f'W/"{referral["meta"]["versionId"]}"'},
    )
    assert answer.status_code == status, answer.text[:2000]
    return answer.json()
