"""Death, merge and opt-out end everything that is open of a patient's plans, in the transaction that says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.live_server import LiveServer

BASE = "https://fhir.example.org/msk"
REASONS = f"{BASE}/CodeSystem/msk-step-reason"
PREFER = {"Prefer": "return=OperationOutcome"}
Json = dict[str, Any]


class Patient:
    """One patient with a plan of steps in every state, an appointment of another kind and a reminder."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.id = f"p{uuid4().hex}"
        self.reference = {"reference": f"Patient/{self.id}"}
        self.plan = {"reference": f"CarePlan/plan-{self.id}"}

    def resource(self, kind: str, name: str, **content: Any) -> Json:
        return {"resourceType": kind, "id": f"{name}-{self.id}", **content}

    def task(self, name: str, status: str, **more: Any) -> Json:
        content = {"status": status, "intent": "plan", "for": self.reference, "basedOn": [self.plan], **more}
        return self.resource("Task", name, **content)

    def appointment(self, name: str, status: str, **more: Any) -> Json:
        who = [{"actor": self.reference, "status": "accepted"}]
        return self.resource("Appointment", name, status=status, participant=who, **more)

    def request(self, name: str, status: str, **more: Any) -> Json:
        return self.resource("ServiceRequest", name, status=status, intent="plan", subject=self.reference, **more)

    def everything(self) -> list[Json]:
        category = {"coding": [{"system": f"{BASE}/CodeSystem/msk-communication-category", "code": "reminder"}]}
        based = {"basedOn": [self.plan]}
        plan = {"status": "active", "intent": "plan", "subject": self.reference}
        return [
            self.patient(),
            self.resource("CarePlan", "plan", **plan, instantiatesCanonical=[f"{BASE}/PlanDefinition/x|1.0.0"]),
            self.resource("CarePlan", "nursing", **plan),
            self.task("planned", "draft"),
            self.task("available", "requested"),
            self.task("begun", "in-progress"),
            self.task("done", "completed", executionPeriod={"end": "2026-01-01"}),
            self.task("other", "requested", basedOn=[{"reference": "ServiceRequest/x"}]),
            self.appointment("step", "proposed", supportingInformation=[self.plan]),
            self.appointment("ward", "proposed"),
            self.request("imaging", "active", **based),
            self.request("own", "active"),
            self.resource(
                "Communication", "reminder", status="preparation", subject=self.reference, category=[category]
            ),
            self.resource("Communication", "letter", status="preparation", subject=self.reference),
        ]

    def patient(self, **content: Any) -> Json:
        return {"resourceType": "Patient", "id": self.id, **content}

    def consent(self, category: str, kind: str, status: str = "active", **period: str) -> Json:
        scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
        coding = {"system": f"{BASE}/CodeSystem/msk-consent-category", "code": category}
        return self.resource(
            "Consent",
            "consent",
            status=status,
            scope={"coding": [scope]},
            category=[{"coding": [coding]}],
            patient=self.reference,
            policyRule={"text": "test"},
            provision={"type": kind, **({"period": period} if period else {})},
        )

    def put(self, resource: Json) -> Json:
        answer = self.client.put(f"{resource['resourceType']}/{resource['id']}", json=resource, headers=PREFER)
        assert answer.status_code in (200, 201), answer.text
        found: Json = answer.json()
        return found

    def together(self, *resources: Json) -> httpx.Response:
        entry = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
        ]
        return self.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entry})

    def read(self, kind: str, name: str) -> Json:
        found: Json = self.client.get(f"{kind}/{name}-{self.id}").json()
        return found

    def states(self) -> dict[str, str]:
        return {
            f"{one['resourceType']}/{one['id'].partition('-')[0]}": self.read(
                one["resourceType"], one["id"].partition("-")[0]
            )["status"]
            for one in self.everything()[1:]
        }


STOOD_DOWN = {
    "CarePlan/plan": "revoked",
    "CarePlan/nursing": "active",
    "Task/planned": "cancelled",
    "Task/available": "cancelled",
    "Task/begun": "cancelled",
    "Task/done": "completed",
    "Task/other": "requested",
    "Appointment/step": "cancelled",
    "Appointment/ward": "proposed",
    "ServiceRequest/imaging": "revoked",
    "ServiceRequest/own": "active",
    "Communication/reminder": "not-done",
    "Communication/letter": "preparation",
}


@pytest.fixture
def patient(live_server: LiveServer) -> Iterator[Patient]:
    with httpx.Client(base_url=f"{live_server.base_url}/", timeout=60) as client:
        one = Patient(client)
        answer = one.together(*one.everything())
        assert answer.status_code == 200, answer.text
        yield one


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"deceasedBoolean": True}, "died"),
        ({"deceasedDateTime": "2026-11-01"}, "died"),
        ({"active": False, "link": [{"other": {"reference": "Patient/x"}, "type": "replaced-by"}]}, "merged"),
    ],
)
def test_what_the_patient_record_says_ends_the_steps(patient: Patient, change: Json, reason: str) -> None:
    outcome = patient.put(patient.patient(**change))
    assert patient.states() == STOOD_DOWN
    assert any(f"({reason})" in issue["diagnostics"] for issue in outcome["issue"])
    coding = {"system": REASONS, "code": reason}
    assert patient.read("Task", "begun")["statusReason"]["coding"] == [coding]
    assert patient.read("Appointment", "step")["cancelationReason"]["coding"] == [coding]
    assert patient.read("Communication", "reminder")["statusReason"]["coding"] == [coding]
    why = patient.client.get("Provenance", params={"target": f"Task/begun-{patient.id}"}).json()
    assert len(why["entry"][0]["resource"]["target"]) == 7
    # Written again, nothing changes any more.
    version = patient.read("Task", "begun")["meta"]["versionId"]
    patient.put(patient.patient(**change, gender="female"))
    assert patient.read("Task", "begun")["meta"]["versionId"] == version


def test_opting_out_of_the_pathway_ends_the_steps_and_taking_it_back_does_not_reopen_them(patient: Patient) -> None:
    patient.put(patient.consent("pathway", "deny"))
    assert patient.states() == STOOD_DOWN
    outcome = patient.put(patient.consent("pathway", "deny", status="inactive"))
    assert patient.states() == STOOD_DOWN
    (warning,) = [issue for issue in outcome["issue"] if issue["severity"] == "warning"]
    assert "$apply" in warning["diagnostics"]


@pytest.mark.parametrize("period", [{"start": "2199-01-01"}, {"end": "2020-01-01"}])
def test_a_refusal_of_another_time_ends_nothing_and_is_told(patient: Patient, period: dict[str, str]) -> None:
    """R4 consent.html: provision.period is the timeframe in which the rule is valid."""
    before = patient.states()
    outcome = patient.put(patient.consent("pathway", "deny", **period))
    assert patient.states() == before
    (warning,) = [issue for issue in outcome["issue"] if issue["severity"] == "warning"]
    assert warning["expression"] == ["Consent.provision.period"]
    patient.put(patient.consent("pathway", "deny", start="2020-01-01", end="2199-01-01"))
    assert patient.states() == STOOD_DOWN


@pytest.mark.parametrize(("category", "kind"), [("pathway", "permit"), ("reminders", "deny"), ("research", "deny")])
def test_other_consents_end_nothing(patient: Patient, category: str, kind: str) -> None:
    before = patient.states()
    patient.put(patient.consent(category, kind))
    assert patient.states() == before


def test_a_death_by_mistake_taken_back_warns(patient: Patient) -> None:
    patient.put(patient.patient(deceasedBoolean=True))
    outcome = patient.put(patient.patient(deceasedBoolean=False))
    assert "warning" in [issue["severity"] for issue in outcome["issue"]]
    assert patient.states() == STOOD_DOWN


def test_a_transaction_that_brings_steps_and_the_death_ends_the_steps(patient: Patient) -> None:
    late = patient.task("late", "requested")
    answer = patient.together(patient.patient(deceasedBoolean=True), late)
    assert answer.status_code == 200, answer.text
    assert patient.read("Task", "late")["status"] == "cancelled"
    assert patient.states() == STOOD_DOWN


def test_a_patient_with_thousands_of_steps_is_stood_down_whole(patient: Patient) -> None:
    tasks = [patient.task(f"many{n}", "requested") for n in range(2500)]
    assert patient.together(*tasks).status_code == 200
    patient.put(patient.patient(deceasedBoolean=True))
    left = patient.client.get("Task", params={"patient": patient.id, "status": "requested", "_summary": "count"}).json()
    assert left["total"] == 1
    gone = patient.client.get("Task", params={"patient": patient.id, "status": "cancelled", "_summary": "count"}).json()
    assert gone["total"] == 2503


def test_a_death_withdraws_the_referral_in_the_same_transaction(patient: Patient) -> None:
    referral = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "identifier": [{"system": "http://example.org/referrals", "value": patient.id}],
        "category": [{"coding": [{"system": f"{BASE}/CodeSystem/msk-request-category", "code": "referral"}]}],
        "subject": patient.reference,
        "authoredOn": "2026-03-01",
        "requester": {"identifier": {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "Z99901"}},
        "reasonCode": [{"text": "Knee pain for a year"}],
    }
    body = {"resourceType": "Parameters", "parameter": [{"name": "referral", "resource": referral}]}
    answer = patient.client.post("ServiceRequest/$submit", json=body)
    assert answer.status_code == 201, answer.text
    (logical_id,) = [
        entry["resource"]["id"]
        for entry in answer.json()["entry"]
        if entry["resource"]["resourceType"] == "ServiceRequest"
    ]
    died = patient.put(patient.patient(deceasedDateTime="2026-11-01"))
    assert any("(died)" in issue["diagnostics"] for issue in died["issue"])
    withdrawn = patient.client.get(f"ServiceRequest/{logical_id}").json()
    assert withdrawn["status"] == "revoked"
    assert {"url": f"{BASE}/StructureDefinition/msk-referral-state", "valueCode": "withdrawn"} in withdrawn["extension"]
    assert patient.states() == STOOD_DOWN
    (episode,) = patient.client.get("EpisodeOfCare", params={"patient": patient.id}).json()["entry"]
    assert episode["resource"]["status"] == "cancelled"
