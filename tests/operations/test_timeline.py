"""Patient $timeline over HTTP: order, states as of a day, what the steps show and scored."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"


class Patients:
    """Patients of one server, each with steps of its own."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def new(self) -> str:
        logical_id = f"t{uuid.uuid4().hex}"
        self.http.put(f"Patient/{logical_id}", json={"resourceType": "Patient", "id": logical_id}).raise_for_status()
        return logical_id

    def task(self, patient: str, name: str, **more: Any) -> Json:
        """A Task of the patient's own, with what differs in `more`; no step of a plan, so any state may be stored."""
        task: Json = {
            "resourceType": "Task",
            "id": f"{patient}-{name}",
            "status": "requested",
            "intent": "plan",
            "description": name,
            "for": {"reference": f"Patient/{patient}"},
            "owner": {"reference": f"Patient/{patient}"},
            "authoredOn": "2026-01-01T08:00:00Z",
            **more,
        }
        answer = self.http.put(f"Task/{task['id']}", json=task)
        assert answer.status_code == 201, answer.text
        stored: Json = answer.json()
        return stored

    def timeline(self, patient: str, **parameters: str) -> list[Json]:
        """Resources of the answer, the List first."""
        answer = self.http.get(f"Patient/{patient}/$timeline", params=parameters)
        assert answer.status_code == 200, answer.text
        assert answer.json()["type"] == "collection"
        return [entry["resource"] for entry in answer.json()["entry"]]

    def states(self, patient: str, **parameters: str) -> list[tuple[str, str]]:
        listed = self.timeline(patient, **parameters)[0]
        return [(one["item"]["display"], one["flag"]["coding"][0]["code"]) for one in listed.get("entry", ())]


@pytest.fixture(scope="module")
def patients(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        yield Patients(http)


def window(start: str, end: str) -> Json:
    return {"restriction": {"period": {"start": start, "end": end}}}


def test_of_a_patient_without_plans_it_is_empty(patients: Patients) -> None:
    (listed,) = patients.timeline(patients.new())
    assert listed["emptyReason"]["coding"][0]["code"] == "nilknown"
    assert "entry" not in listed


def test_of_nobody_it_is_a_404(patients: Patients) -> None:
    assert patients.http.get("Patient/nobody-at-all/$timeline").status_code == 404


def test_of_a_deleted_patient_it_is_a_410(patients: Patients) -> None:
    patient = patients.new()
    assert patients.http.delete(f"Patient/{patient}").status_code in (200, 204)
    assert patients.http.get(f"Patient/{patient}/$timeline").status_code == 410


def test_a_day_that_is_none_is_a_400(patients: Patients) -> None:
    assert patients.http.get(f"Patient/{patients.new()}/$timeline?asOf=tomorrow").status_code == 400


def test_the_list_is_valid_and_names_what_follows_in_order(patients: Patients) -> None:
    """R4 list.html, lst-3: no entry has a date of its own in a snapshot."""
    patient = patients.new()
    patients.task(patient, "undated", status="requested")
    patients.task(patient, "second", **window("2026-01-01", "2026-03-01"))
    patients.task(patient, "first", **window("2026-02-01", "2026-02-10"))
    listed, *steps = patients.timeline(patient)
    validated = patients.http.post("List/$validate", json=listed)
    assert not [issue for issue in validated.json()["issue"] if issue["severity"] == "error"]
    assert all("date" not in one for one in listed["entry"])
    named = [one["item"]["reference"] for one in listed["entry"]]
    assert named == [f"Task/{step['id']}" for step in steps]
    assert [step["description"] for step in steps] == ["first", "second", "undated"]
    days = [one.get("extension", [{}])[0].get("valueDate") for one in listed["entry"]]
    assert days == ["2026-02-10", "2026-03-01", None]


BEFORE_14 = {
    "url": f"{BASE}/StructureDefinition/msk-window",
    "extension": [
        {"url": "before", "valueDuration": {"value": 14, "system": "http://unitsofmeasure.org", "code": "d"}},
        {"url": "after", "valueDuration": {"value": 7, "system": "http://unitsofmeasure.org", "code": "d"}},
    ],
}


@pytest.mark.parametrize(
    ("as_of", "state"),
    [
        ("2030-05-31", "planned"),
        ("2030-06-01", "available"),
        ("2030-06-14", "available"),
        ("2030-06-15", "due"),
        ("2030-06-22", "due"),
        ("2030-06-23", "missed"),
    ],
)
def test_an_open_step_as_of_a_day_to_come(patients: Patients, as_of: str, state: str) -> None:
    """Windows are whole days, both ends included; the step is meant for 15 June."""
    patient = patients.new()
    patients.task(patient, "step", status="draft", extension=[BEFORE_14], **window("2030-06-01", "2030-06-22"))
    assert patients.states(patient, asOf=as_of) == [("step", state)]


def test_what_the_staff_has_to_do_is_overdue_and_never_missed(patients: Patients) -> None:
    patient = patients.new()
    plan = [{"reference": "CarePlan/some"}]
    patients.task(patient, "review", owner={"display": "staff"}, basedOn=plan, **window("2026-01-01", "2026-01-08"))
    assert patients.states(patient, asOf="2031-01-01") == [("review", "due")]


def test_done_is_done_from_its_day_on(patients: Patients) -> None:
    patient = patients.new()
    done = {"status": "completed", "executionPeriod": {"end": "2026-02-05T10:00:00Z"}}
    patients.task(patient, "step", **done, **window("2026-02-01", "2026-02-20"))
    assert patients.states(patient) == [("step", "done")]
    assert patients.states(patient, asOf="2026-02-05") == [("step", "done")]
    assert patients.states(patient, asOf="2026-02-04") == [("step", "due")]
    assert patients.states(patient, asOf="2026-01-31") == [("step", "planned")]


def test_before_it_was_made_a_step_is_not_there(patients: Patients) -> None:
    patient = patients.new()
    patients.task(patient, "step", authoredOn="2026-03-01T09:00:00Z", **window("2026-03-01", "2026-03-20"))
    assert patients.states(patient, asOf="2026-02-28") == []


@pytest.mark.parametrize(
    ("status", "state"), [("ready", "seen"), ("in-progress", "started"), ("failed", "missed"), ("rejected", "declined")]
)
def test_the_states_of_today(patients: Patients, status: str, state: str) -> None:
    patient = patients.new()
    patients.task(patient, "step", status=status, **window("2026-01-01", "2999-01-01"))
    assert patients.states(patient) == [("step", state)]


def test_stood_down_steps_are_shown_when_all_are_asked_for(patients: Patients) -> None:
    patient = patients.new()
    patients.task(patient, "step", status="cancelled", **window("2026-01-01", "2026-02-01"))
    patients.task(patient, "error", status="entered-in-error")
    assert patients.states(patient) == []
    assert patients.states(patient, all="true") == [("step", "stood-down")]


def test_across_the_change_to_summer_time(patients: Patients) -> None:
    """The last day of a window that ends at 23:30 UTC on 30 June is 1 July in London."""
    patient = patients.new()
    patients.task(patient, "step", **window("2030-06-01", "2030-06-30T23:30:00Z"))
    assert patients.states(patient, asOf="2030-07-01") == [("step", "due")]
    assert patients.states(patient, asOf="2030-07-02") == [("step", "missed")]


def test_appointments_stand_on_their_day(patients: Patients) -> None:
    patient = patients.new()
    appointment = {
        "resourceType": "Appointment",
        "status": "booked",
        "description": "clinic",
        "start": "2030-03-04T09:00:00Z",
        "end": "2030-03-04T09:30:00Z",
        "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
    }
    patients.http.post("Appointment", json=appointment).raise_for_status()
    patients.task(patient, "before", **window("2030-03-01", "2030-03-03"))
    patients.task(patient, "after", **window("2030-03-01", "2030-03-05"))
    assert [name for name, _ in patients.states(patient)] == ["before", "clinic", "after"]


def test_the_work_of_the_staff_on_a_referral_is_no_step(patients: Patients) -> None:
    patient = patients.new()
    code = {"coding": [{"system": f"{BASE}/CodeSystem/msk-task-code", "code": "safety-review"}]}
    patients.task(patient, "safety", code=code)
    assert patients.states(patient) == []


def test_a_plan_with_the_resources_it_shows_and_the_scores_it_produced(patients: Patients) -> None:
    patient = patients.new()
    given = [{"name": "subject", "valueString": f"Patient/{patient}"}]
    body = {"resourceType": "Parameters", "parameter": given}
    applied = patients.http.post("PlanDefinition/knee-oa-arthroplasty-1.0.0/$apply", json=body)
    assert applied.status_code == 201, applied.text
    listed, *others = patients.timeline(patient)
    steps = {activity["reference"]["reference"] for activity in applied.json()["activity"]}
    assert {one["item"]["reference"] for one in listed["entry"]} == steps
    libraries = [one for one in others if one["resourceType"] == "Library"]
    named = {
        given["valueCanonical"]
        for step in others
        if step["resourceType"] == "Task"
        for given in step.get("input", ())
        if given["type"]["coding"][0]["code"] == "resource"
    }
    assert {f"{one['url']}|{one['version']}" for one in libraries} == named
    (ask,) = [
        one
        for one in others
        if one["resourceType"] == "Task" and one["status"] == "requested" and "/oks|" in str(one.get("input"))
    ]
    questionnaire = next(one["valueCanonical"] for one in ask["input"] if "/oks|" in one["valueCanonical"])
    items = [
        {"linkId": item["linkId"], "answer": [{"valueCoding": item["answerOption"][0]["valueCoding"]}]}
        for item in _questionnaire(patients, questionnaire)["item"]
        if item["type"] == "choice"
    ]
    response = {
        "resourceType": "QuestionnaireResponse",
        "extension": [
            {"url": f"{BASE}/StructureDefinition/msk-task", "valueReference": {"reference": f"Task/{ask['id']}"}}
        ],
        "questionnaire": questionnaire,
        "status": "completed",
        "subject": {"reference": f"Patient/{patient}"},
        "authored": ask["authoredOn"],
        "item": items,
    }
    answered = patients.http.post("QuestionnaireResponse", json=response)
    assert answered.status_code == 201, answered.text
    listed, *others = patients.timeline(patient)
    states = {one["item"]["reference"]: one["flag"]["coding"][0]["code"] for one in listed["entry"]}
    assert states[f"Task/{ask['id']}"] == "done"
    scores = [one for one in others if one["resourceType"] == "Observation"]
    assert scores
    assert all(one["derivedFrom"][0]["reference"] == f"QuestionnaireResponse/{answered.json()['id']}" for one in scores)


def _questionnaire(patients: Patients, canonical: str) -> Json:
    url, _, version = canonical.partition("|")
    found = patients.http.get("Questionnaire", params={"url": url, "version": version}).json()
    resource: Json = found["entry"][0]["resource"]
    return resource


def test_another_patient_s_steps_are_not_there(patients: Patients) -> None:
    one, other = patients.new(), patients.new()
    patients.task(one, "mine", **window("2030-01-01", "2030-02-01"))
    patients.task(other, "theirs", **window("2030-01-01", "2030-02-01"))
    assert [name for name, _ in patients.states(one)] == ["mine"]


def test_a_year_is_no_day_to_show(patients: Patients) -> None:
    answer = patients.http.get(f"Patient/{patients.new()}/$timeline?asOf=2026")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "value")
