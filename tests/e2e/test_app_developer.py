"""Persona B, the app developer: the plan and what is due, the form, answers saved and sent. Steps 2, 3 and 4.

Adapted: without authorization; the form is in its neutral version; pages of two, so that there is a next one. Of steps
1, 5, 6 and 7 the tests say what is answered as long as there are no tokens, no topics and no view for the NHS App.
"""

from __future__ import annotations

import pytest

from tests.e2e.steps import BASE
from tests.instruments.responses import response

KNEE = "knee-oa-arthroplasty-1.0.0"
FORM = ("oks", "1.0.0-neutral")


@pytest.fixture(scope="module")
def app(clinic_server):
    """A patient on the knee pathway, received and accepted today."""
    clinic_server.now("2026-03-02T09:00:00+00:00")
    clinic_server.new_patient()
    anchors = [
        {"name": "anchor", "part": [{"name": "event", "valueCode": event}, {"name": "date", "valueDate": "2026-03-02"}]}
        for event in ("received", "accepted")
    ]
    given = [{"name": "subject", "valueString": f"Patient/{clinic_server.patient}"}, *anchors]
    body = {"resourceType": "Parameters", "parameter": given}
    answer = clinic_server.client.post(f"PlanDefinition/{KNEE}/$apply", json=body)
    assert answer.status_code == 201, answer.text
    return clinic_server


def entries(app, path, **criteria):
    answer = app.client.get(path, params=criteria)
    assert answer.status_code == 200, answer.text
    return answer.json()


def asking(app):
    """The step that asks for the form."""
    (task,) = [
        task
        for task in app.found("Task", _count="100")
        if any(one.get("valueCanonical") == f"{BASE}/Questionnaire/oks|1.0.0-neutral" for one in task.get("input", ()))
        and {"url": f"{BASE}/StructureDefinition/msk-step-action", "valueString": "baseline-oks"} in task["extension"]
    ]
    return task


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(".well-known/smart-configuration", id="1-no-authorization"),
        pytest.param("Subscription/due/$status", id="6-no-topics"),
        pytest.param("wayfinder/Task", id="7-no-view-for-the-app"),
    ],
)
def test_what_is_not_served_is_said_to_be_unsupported(app, path):
    answer = app.client.get(path)
    assert answer.status_code == 404
    (issue,) = answer.json()["issue"]
    assert (issue["severity"], issue["code"]) == ("error", "not-supported")


def test_5_an_unknown_patient_is_not_found_and_has_nothing(app):
    other = f"no{app.patient}"
    answer = app.client.get(f"Patient/{other}")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")
    found = entries(app, "Task", patient=other, _total="accurate")
    assert (found["total"], found.get("entry", [])) == (0, [])


def test_2_the_plan_comes_with_its_steps(app):
    found = entries(
        app, "CarePlan", patient=app.patient, status="active", _include="CarePlan:activity-reference", _count="100"
    )["entry"]
    (plan,) = [entry["resource"] for entry in found if entry["search"]["mode"] == "match"]
    steps = {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in found
        if entry["search"]["mode"] == "include"
    }
    assert len(steps) >= 12
    assert steps == {activity["reference"]["reference"] for activity in plan["activity"]}


def test_2_what_is_due_comes_in_order_page_by_page(app):
    criteria = {"patient": app.patient, "status": "requested,ready", "due": "le2026-10-01"}
    path = app.client.base_url.join("Task").copy_merge_params({**criteria, "_sort": "due", "_count": "2"})
    starts, ids, pages = [], [], 0
    while path:
        page = app.client.get(path).json()
        tasks = [entry["resource"] for entry in page["entry"]]
        assert len(tasks) <= 2
        starts += [task["restriction"]["period"]["start"] for task in tasks]
        ids += [task["id"] for task in tasks]
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        pages += 1
    assert pages >= 2
    assert starts == sorted(starts), "R4 search.html#sort: ascending by the low end of a Period"
    assert len(set(ids)) == len(ids)
    assert asking(app)["id"] in ids


def test_3_the_form_is_found_and_populated(app):
    (entry,) = entries(app, "Questionnaire", url=f"{BASE}/Questionnaire/{FORM[0]}", version=FORM[1])["entry"]
    form = entry["resource"]
    subject = {"name": "subject", "valueReference": {"reference": f"Patient/{app.patient}"}}
    body = {"resourceType": "Parameters", "parameter": [subject]}
    answer = app.client.post(f"Questionnaire/{form['id']}/$populate", json=body)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    if made["resourceType"] == "Parameters":
        (made,) = [one["resource"] for one in made["parameter"] if one["name"] == "response"]
    assert made["status"] == "in-progress"
    assert made["questionnaire"] == f"{BASE}/Questionnaire/{FORM[0]}|{FORM[1]}"


def test_4_answers_are_saved_corrected_and_sent(app):
    task = asking(app)
    named = {"url": f"{BASE}/StructureDefinition/msk-task", "valueReference": {"reference": f"Task/{task['id']}"}}
    subject = {"reference": f"Patient/{app.patient}"}
    whole = response(
        "oks", [3] * 11 + [1], id=f"r{app.patient}", subject=subject, extension=[named], authored="2026-03-02T08:00:00Z"
    )
    saved = {**whole, "status": "in-progress", "item": whole["item"][:3]}
    assert app.put(saved).status_code == 201
    assert app.read(f"Task/{task['id']}")["status"] == "in-progress"

    coding = {**whole["item"][4]["answer"][0]["valueCoding"], "code": "9"}
    item = {**whole["item"][4], "answer": [{"valueCoding": coding}]}
    refused = app.put({**whole, "item": [*whole["item"][:4], item, *whole["item"][5:]]})
    assert refused.status_code == 422
    (issue,) = refused.json()["issue"]
    assert issue["expression"] == ["QuestionnaireResponse.item[4].answer[0].value"]
    assert app.read(f"Task/{task['id']}")["status"] == "in-progress"

    assert app.put(whole).status_code == 200
    done = app.read(f"Task/{task['id']}")
    assert done["status"] == "completed"
    reference = f"QuestionnaireResponse/{whole['id']}"
    assert reference in [one.get("valueReference", {}).get("reference") for one in done["output"]]
    (score,) = app.found("Observation", code="oks.total")
    assert (score["valueQuantity"]["value"], score["derivedFrom"]) == (34, [{"reference": reference}])
