"""The tour of the README on a real server: a referral goes in, a scored outcome and a timeline come out."""

import httpx
import pytest
from fhirpy import SyncFHIRClient

from tests.e2e.referral import NHS_NUMBER, PATIENT_NUMBER, bundle, pdf, response

CANONICAL = "https://fhir.example.org/msk"
LETTER_BYTES = 5_000_000
PATHWAY = f"{CANONICAL}/PlanDefinition/knee-oa-arthroplasty"


@pytest.fixture(scope="module")
def client(base_url):
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def letter():
    return pdf(LETTER_BYTES)


@pytest.fixture(scope="module")
def referral(client, letter):
    """The referral as the server stored it: Type -> Type/id."""
    answer = client.post("", json=bundle(letter))
    assert answer.status_code == 200, answer.text[:2000]
    locations = [entry["response"]["location"] for entry in answer.json()["entry"]]
    keys = ["/".join(location.partition("/_history/")[0].split("/")[-2:]) for location in locations]
    return {key.partition("/")[0]: key for key in keys}


@pytest.fixture(scope="module")
def plan(client, referral):
    """The CarePlan made from the knee pathway."""
    (pathway,) = matches(client, "PlanDefinition", url=PATHWAY)
    answer = client.post(
        f"PlanDefinition/{pathway['id']}/$apply",
        json=parameters(
            {"name": "subject", "valueString": referral["Patient"]},
            {
                "name": "anchor",
                "part": [{"name": "event", "valueCode": "received"}, {"name": "date", "valueDate": "2026-02-02"}],
            },
        ),
    )
    assert answer.status_code in (200, 201), answer.text[:2000]
    resource = answer.json()
    return resource if resource["resourceType"] == "CarePlan" else resource["parameter"][0]["resource"]


@pytest.fixture(scope="module")
def knee_score(client, referral):
    """The stored Observation of an Oxford Knee Score of 30."""
    stored = post(client, response("oks", [4, 3, 2, 1, 0, 4, 3, 2, 1, 4, 3, 3], referral["Patient"]))
    outcome = client.post(
        f"QuestionnaireResponse/{stored['id']}/$score",
        json=parameters({"name": "persist", "valueBoolean": True}),
    )
    assert outcome.status_code == 200, outcome.text[:2000]
    return observations(outcome.json())[0]


def matches(client, resource_type, **criteria):
    answer = client.get(resource_type, params=criteria)
    assert answer.status_code == 200, answer.text[:2000]
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def post(client, resource):
    answer = client.post(resource["resourceType"], json=resource)
    assert answer.status_code == 201, answer.text[:2000]
    return answer.json()


def parameters(*given):
    return {"resourceType": "Parameters", "parameter": list(given)}


def resources(value):
    """All resources in a Parameters or a Bundle."""
    if value["resourceType"] == "Parameters":
        return [found for given in value["parameter"] for found in resources(given["resource"])]
    if value["resourceType"] == "Bundle":
        return [found for entry in value.get("entry", []) for found in resources(entry["resource"])]
    return [value]


def observations(value):
    return [resource for resource in resources(value) if resource["resourceType"] == "Observation"]


def test_the_referral_is_stored_whole_with_its_references_resolved(client, referral):
    assert set(referral) == {
        "Patient", "Practitioner", "Organization", "ServiceRequest", "Task", "Binary", "DocumentReference",
    }  # fmt: skip
    request = client.get(referral["ServiceRequest"]).json()
    task = client.get(referral["Task"]).json()
    document = client.get(referral["DocumentReference"]).json()
    assert request["subject"]["reference"] == referral["Patient"]
    assert request["supportingInfo"][0]["reference"] == referral["DocumentReference"]
    assert task["focus"]["reference"] == referral["ServiceRequest"]
    assert document["content"][0]["attachment"]["url"].endswith(referral["Binary"])


def test_the_letter_comes_back_byte_for_byte(client, referral, letter):
    answer = client.get(referral["Binary"], headers={"Accept": "application/pdf"})
    assert answer.headers["content-type"] == "application/pdf"
    assert len(answer.content) >= LETTER_BYTES
    assert answer.content == letter


def test_the_same_referral_again_makes_nothing_new(client, referral, letter):
    answer = client.post("", json=bundle(letter))
    statuses = [entry["response"]["status"][:3] for entry in answer.json()["entry"]]
    assert statuses == ["200"] * 7
    assert len(matches(client, "Patient", identifier=f"{NHS_NUMBER}|{PATIENT_NUMBER}")) == 1


def test_one_bad_entry_changes_nothing_and_is_named(client, referral):
    def totals():
        return [
            client.get(kind, params={"_summary": "count"}).json()["total"]
            for kind in ("Patient", "ServiceRequest", "Task", "Binary", "Organization")
        ]

    faulty = bundle()
    faulty["entry"][4]["resource"]["status"] = "no-such-status"
    before = totals()
    answer = client.post("", json=faulty)
    assert answer.status_code in (400, 422)
    (issue,) = answer.json()["issue"]
    assert issue["expression"] == ["Bundle.entry[4].resource.status"]
    assert totals() == before


def test_the_plan_has_a_timeline_of_dated_steps(client, referral, plan):
    stored = client.get(f"CarePlan/{plan['id']}").json()
    assert stored["subject"]["reference"] == referral["Patient"]
    assert stored["instantiatesCanonical"][0].startswith(PATHWAY)
    steps = [client.get(activity["reference"]["reference"]) for activity in stored["activity"]]
    assert all(step.status_code == 200 for step in steps)
    kinds = {step.json()["resourceType"] for step in steps}
    assert "Task" in kinds
    tasks = [step.json() for step in steps if step.json()["resourceType"] == "Task"]
    assert all(task["for"]["reference"] == referral["Patient"] for task in tasks)
    dated = [task["restriction"]["period"]["start"] for task in tasks if "restriction" in task]
    assert dated
    assert min(dated) >= "2026-02-02"


def test_the_knee_score_is_the_sum_of_its_items(knee_score, client):
    # 4+3+2+1+0+4+3+2+1+4+3+3
    assert knee_score["valueQuantity"]["value"] == 30
    assert client.get(f"Observation/{knee_score['id']}").status_code == 200
    assert knee_score["derivedFrom"][0]["reference"].startswith("QuestionnaireResponse/")


def test_a_phq_9_with_thoughts_of_self_harm_warns(client, referral):
    stored = post(client, response("phq-9", [1, 1, 0, 0, 0, 0, 0, 0, 1], referral["Patient"]))
    answer = client.get(f"QuestionnaireResponse/{stored['id']}/$score")
    assert answer.status_code == 200, answer.text[:2000]
    values = [o["valueQuantity"]["value"] for o in observations(answer.json()) if "valueQuantity" in o]
    assert 3 in values
    outcomes = [found for found in resources(answer.json()) if found["resourceType"] == "OperationOutcome"]
    warnings = [issue for outcome in outcomes for issue in outcome["issue"] if issue["severity"] == "warning"]
    assert any("item 9" in issue["diagnostics"] for issue in warnings)


def test_an_unscorable_response_is_refused_with_the_reason(client, referral):
    half = [4, 3, 2, 1, 0, None, None, None, None, None, None, None]
    stored = post(client, response("oks", half, referral["Patient"]))
    answer = client.post(f"QuestionnaireResponse/{stored['id']}/$score", json=parameters())
    assert answer.status_code == 422
    assert "missing" in answer.text or "unanswered" in answer.text


def test_everything_about_the_patient_comes_back(client, referral, plan, knee_score):
    entries = client.get(f"{referral['Patient']}/$everything", params={"_count": 1000}).json()["entry"]
    found = {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries}
    assert {referral[kind] for kind in ("Patient", "ServiceRequest", "Task", "DocumentReference")} <= found
    assert referral["Practitioner"] in found, "referenced resources belong to everything"
    assert {f"CarePlan/{plan['id']}", f"Observation/{knee_score['id']}"} <= found


def test_history_and_vread_show_each_version(client, referral):
    task = client.get(referral["Task"])
    accepted = {**task.json(), "status": "accepted"}
    updated = client.put(referral["Task"], json=accepted, headers={"If-Match": task.headers["ETag"]})
    assert updated.status_code == 200
    versions = client.get(f"{referral['Task']}/_history").json()
    assert versions["total"] == 2
    assert [entry["resource"]["status"] for entry in versions["entry"]] == ["accepted", "requested"]
    assert client.get(f"{referral['Task']}/_history/1").json()["status"] == "requested"


def test_search_by_patient_code_and_date(client, referral, knee_score):
    coding = knee_score["code"]["coding"][0]
    criteria = {"patient": referral["Patient"], "code": f"{coding['system']}|{coding['code']}"}
    assert [o["id"] for o in matches(client, "Observation", **criteria, date="ge2026-02-01")] == [knee_score["id"]]
    assert matches(client, "Observation", **criteria, date="lt2026-02-01") == []


def test_another_implementation_s_client_reads_it_all_back(base_url, referral, knee_score):
    client = SyncFHIRClient(base_url)
    patient = client.resources("Patient").search(identifier=f"{NHS_NUMBER}|{PATIENT_NUMBER}").get()
    assert patient.to_reference().reference == referral["Patient"]
    assert patient["name"][0]["family"] == "Nuñez-O’Brien"
    tasks = client.resources("Task").search(patient=patient.id).fetch_all()
    assert referral["Task"] in {task.to_reference().reference for task in tasks}
    scores = client.resources("Observation").search(patient=patient.id).sort("-date").limit(5).fetch()
    assert knee_score["id"] in {score.id for score in scores}
