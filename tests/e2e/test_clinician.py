"""Persona D, the clinician with a clinic tomorrow. All five steps.

Adapted: without authorization; acknowledging an alert is the Communication and the Flag, as AuditEvents are not made
yet; an incomplete baseline is seen as the open step in $timeline; the moved steps are those after the operation.
"""

from __future__ import annotations

import pytest

from tests.e2e.steps import BASE, asks
from tests.instruments.responses import response

KNEE = "knee-oa-arthroplasty-1.0.0"


@pytest.fixture(scope="module")
def clinic(clinic_server):
    clinic_server.now("2026-10-01T09:00:00+01:00")
    clinic_server.new_patient()
    return clinic_server


def posted(clinic, path, *given):
    answer = clinic.client.post(path, json={"resourceType": "Parameters", "parameter": list(given)})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def anchor(event, day):
    return {"name": "anchor", "part": [{"name": "event", "valueCode": event}, {"name": "date", "valueDate": day}]}


def transaction(clinic, *entries):
    requests = [
        {"fullUrl": url, "resource": resource, "request": {"method": method, "url": path}}
        for url, method, path, resource in entries
    ]
    body = {"resourceType": "Bundle", "type": "transaction", "entry": requests}
    answer = clinic.client.post("", json=body)
    assert answer.status_code == 200, answer.text


def on_timeline(clinic):
    """Each step's state by its reference."""
    listed = clinic.read(f"Patient/{clinic.patient}/$timeline")["entry"][0]["resource"]
    return {one["item"]["reference"]: one["flag"]["coding"][0]["code"] for one in listed.get("entry", ())}


def active_flags(clinic):
    return clinic.found("Flag", status="active")


def test_1_the_clinic_list_the_trend_and_the_open_baseline(clinic):
    who = clinic.patient
    clinic.stored({"resourceType": "Practitioner", "id": f"dr{who}"})
    actors = [f"Patient/{who}", f"Practitioner/dr{who}"]
    visit = {
        "resourceType": "Appointment",
        "id": f"a{who}",
        "status": "booked",
        "start": "2026-10-02T10:00:00+01:00",
        "end": "2026-10-02T10:30:00+01:00",
        "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
    }
    clinic.stored(visit)
    baseline = clinic.task(window=("2026-09-20", "2026-10-02"), focus={"reference": f"Appointment/a{who}"})
    found = clinic.client.get(
        "Appointment",
        params={
            "practitioner": f"dr{who}",
            "date": "2026-10-02",
            "_include": "Appointment:patient",
            "_revinclude": "Task:focus",
        },
    ).json()["entry"]
    assert {(one["resource"]["resourceType"], one["resource"]["id"]) for one in found} == {
        ("Appointment", f"a{who}"),
        ("Patient", who),
        ("Task", baseline["id"]),
    }
    assert on_timeline(clinic)[f"Task/{baseline['id']}"] == "due"
    clinic.stored(clinic.answers(baseline, level=2, id=f"r1{who}", authored="2026-09-30T10:00:00Z"))
    later = clinic.task()
    clinic.stored(clinic.answers(later, level=3, id=f"r2{who}", authored="2026-10-01T07:00:00Z"))
    last = clinic.client.get("Observation/$lastn", params={"patient": who, "category": "survey", "max": "4"}).json()
    totals = [
        one["resource"]["valueQuantity"]["value"]
        for one in last["entry"]
        if one["resource"]["code"]["coding"][0]["code"] == "oks.total"
    ]
    assert totals == [36, 24], "newest first"


def test_2_an_alert_is_seen_and_acknowledged(clinic):
    subject = {"reference": f"Patient/{clinic.patient}"}
    clinic.stored(response("phq-9", [0] * 8 + [1], id=f"phq{clinic.patient}", subject=subject))
    (flag,) = active_flags(clinic)
    told = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": subject,
        "about": [{"reference": f"Flag/{flag['id']}"}],
    }
    transaction(
        clinic,
        ("urn:uuid:00000000-0000-4000-8000-000000000001", "POST", "Communication", told),
        (f"{clinic.client.base_url}Flag/{flag['id']}", "PUT", f"Flag/{flag['id']}", {**flag, "status": "inactive"}),
    )
    assert active_flags(clinic) == []
    assert clinic.read(f"Flag/{flag['id']}/_history/1")["status"] == "active"


def test_3_a_sheet_of_ones_own_is_on_the_timeline_at_once(clinic):
    patient = {"reference": f"Patient/{clinic.patient}"}
    sheet = "urn:uuid:00000000-0000-4000-8000-000000000002"
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": patient,
        "content": [{"attachment": {"contentType": "text/plain", "data": "QSBzaGVldC4="}}],
    }
    shows = {"type": asks("resource", "")["type"], "valueReference": {"reference": sheet}}
    task = {
        "resourceType": "Task",
        "id": f"view{clinic.patient}",
        "status": "requested",
        "intent": "plan",
        "code": {"coding": [{"system": f"{BASE}/CodeSystem/msk-task-code", "code": "view-resource"}]},
        "for": patient,
        "owner": patient,
        "focus": {"reference": sheet},
        "input": [shows],
    }
    url = f"{clinic.client.base_url}Task/{task['id']}"
    transaction(clinic, (sheet, "POST", "DocumentReference", document), (url, "PUT", f"Task/{task['id']}", task))
    assert on_timeline(clinic)[f"Task/{task['id']}"] == "available"


def test_4_a_moved_operation_moves_what_follows_and_says_why(clinic):
    subject = {"name": "subject", "valueString": f"Patient/{clinic.patient}"}
    given = [anchor(event, "2026-10-01") for event in ("received", "accepted", "listed")]
    posted(clinic, f"PlanDefinition/{KNEE}/$apply", subject, *given, anchor("operation", "2026-11-02"))
    (plan,) = clinic.found("CarePlan", status="active")

    def steps():
        read = [clinic.read(one["reference"]["reference"]) for one in plan["activity"]]
        return {
            extension["valueString"]: step
            for step in read
            for extension in step["extension"]
            if extension["url"] == f"{BASE}/StructureDefinition/msk-step-action"
        }

    seen = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [
            {"coding": [{"system": f"{BASE}/CodeSystem/msk-communication-category", "code": "resource-viewed"}]}
        ],
        "subject": {"reference": f"Patient/{clinic.patient}"},
        "about": [{"reference": f"Task/{steps()['welcome']['id']}"}],
        "received": "2026-10-01T09:00:00+01:00",
    }
    assert clinic.client.post("Communication", json=seen).status_code == 201
    before = steps()
    reason = {"name": "reason", "valueString": "The list changed."}
    posted(clinic, f"CarePlan/{plan['id']}/$replan", anchor("operation", "2026-11-16"), reason)
    after = steps()
    moved = {name for name in before if before[name] != after[name]}
    assert any(name.startswith("m6") for name in moved), moved
    assert any(name.startswith("m12") for name in moved), moved
    assert after["welcome"]["status"] == "completed"
    assert after["welcome"] == before["welcome"]
    assert len(clinic.read(f"CarePlan/{plan['id']}/_history")["entry"]) == 2
    told = clinic.client.get("Provenance", params={"target": f"CarePlan/{plan['id']}"}).json()
    assert "The list changed." in str([entry["resource"].get("reason") for entry in told["entry"]])


def test_5_a_paper_form_with_two_answers_missing_is_scored_by_its_rule(clinic):
    """DASH: at least 27 of 30 items, (mean - 1) x 25. The Oxford rule is not verified: refused."""
    subject = {"reference": f"Patient/{clinic.patient}"}

    def scored(instrument, answers):
        paper = response(instrument, answers, subject=subject)
        paper["item"] = [item for item in paper["item"] if "answer" in item]
        return clinic.client.post("QuestionnaireResponse/$score", json=scoring(paper))

    answer = scored("dash", [3] * 28 + [None] * 2)
    assert answer.status_code == 200, answer.text
    values = [
        one["resource"]["valueQuantity"]["value"]
        for one in answer.json()["entry"]
        if one["resource"]["resourceType"] == "Observation" and "valueQuantity" in one["resource"]
    ]
    assert 50 in values
    refused = scored("oks", [3] * 10 + [None] * 2)
    assert refused.status_code == 422
    assert ["q11" in refused.text, "q12" in refused.text] == [True, True]
    assert scored("oks", [3] * 11 + [7]).status_code == 422


def scoring(paper):
    return {"resourceType": "Parameters", "parameter": [{"name": "response", "resource": paper}]}
