"""A referral over HTTP, moved by name: what the tests of the moves share."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
ORTHOPAEDICS = "HealthcareService/ref-ortho"
THERAPY = "HealthcareService/ref-therapy"
OUTCOMES = {"accept", "redirect", "more-info", "reject", "advice"}
ATTENDANCE = {"attended", "dna", "cancelled-patient", "cancelled-provider"}


class Referrals:
    """Moves referrals of one server."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        for name in (ORTHOPAEDICS, THERAPY):
            service = {"resourceType": "HealthcareService", "id": name.partition("/")[2], "active": True}
            assert http.put(name, json=service).status_code in (200, 201)

    def patient(self, **more: Any) -> str:
        logical_id = f"p{uuid.uuid4().hex}"
        patient = {"resourceType": "Patient", "id": logical_id, "birthDate": "1961-02-03", **more}
        assert self.http.put(f"Patient/{logical_id}", json=patient).status_code == 201
        return f"Patient/{logical_id}"

    def draft(self, patient: str | None = None, **more: Any) -> Json:
        """A referral as it may be submitted, not stored."""
        number = f"{uuid.uuid4().int % 10**12:012d}"
        return {
            "resourceType": "ServiceRequest",
            "identifier": [{"system": "https://fhir.nhs.uk/Id/UBRN", "value": number}],
            "status": "draft",
            "intent": "order",
            "category": [{"coding": [{"system": f"{BASE}/CodeSystem/msk-request-category", "code": "referral"}]}],
            "priority": "urgent",
            "subject": {"reference": patient or self.patient()},
            "authoredOn": "2026-01-05T09:00:00Z",
            "requester": {"display": "A practice"},
            "reasonCode": [{"text": "Knee pain"}],
            **more,
        }

    def stored_draft(self, patient: str | None = None, **more: Any) -> Json:
        answer = self.http.post("ServiceRequest", json=self.draft(patient, **more))
        assert answer.status_code == 201, answer.text
        stored: Json = answer.json()
        return stored

    def at(self, way: list[str], **more: Any) -> Json:
        """A new referral, moved along `way`."""
        request = self.stored_draft(**more)
        for name in way:
            answer = self.move(request, name)
            assert answer.status_code == 200, answer.text
            request = answer.json()["entry"][0]["resource"]
        return request

    def move(self, request: Json, name: str, *, etag: str | None = "", **parameters: Any) -> httpx.Response:
        """`name` is an operation, or an outcome of triage or of an appointment."""
        given: list[Json] = [
            {"name": key, "valueCode" if key == "rtt" else "valueString": value} for key, value in parameters.items()
        ]
        operation = name
        if name in OUTCOMES:
            operation = "triage"
            given.append({"name": "outcome", "valueCode": name})
            if name in ("accept", "redirect"):
                given += [{"name": "service", "valueString": service} for service in (ORTHOPAEDICS, THERAPY)]
            else:
                given.append({"name": "reason", "valueString": "because"})
        elif name in ATTENDANCE:
            operation = "attend"
            given.append({"name": "outcome", "valueCode": name})
        elif name == "book":
            given.append({"name": "appointment", "valueString": self.appointment(request["subject"]["reference"])})
        if etag == "":
            etag = f'W/"{request["meta"]["versionId"]}"'
        headers = {} if etag is None else {"If-Match": etag}
        body = {"resourceType": "Parameters", "parameter": given}
        return self.http.post(f"ServiceRequest/{request['id']}/${operation}", json=body, headers=headers)

    def appointment(self, patient: str, status: str = "booked") -> str:
        appointment = {
            "resourceType": "Appointment",
            "status": status,
            "start": "2030-02-02T09:00:00Z",
            "end": "2030-02-02T09:30:00Z",
            "participant": [{"actor": {"reference": patient}, "status": "accepted"}],
        }
        answer = self.http.post("Appointment", json=appointment)
        assert answer.status_code == 201, answer.text
        return f"Appointment/{answer.json()['id']}"

    def slot(self) -> Json:
        """A free Slot, far ahead."""
        schedule = {"resourceType": "Schedule", "actor": [{"reference": ORTHOPAEDICS}]}
        made = self.http.post("Schedule", json=schedule).json()
        slot = {
            "resourceType": "Slot",
            "schedule": {"reference": f"Schedule/{made['id']}"},
            "status": "free",
            "start": "2199-03-01T09:00:00Z",
            "end": "2199-03-01T09:30:00Z",
        }
        answer = self.http.post("Slot", json=slot)
        assert answer.status_code == 201, answer.text
        stored: Json = answer.json()
        return stored

    def whole(self, request: Json) -> tuple[Json, Json | None, Json | None]:
        """The ServiceRequest, its coordinating Task and its EpisodeOfCare as stored now."""
        name = f"ServiceRequest/{request['id']}"
        parameters = f"{BASE}/CodeSystem/msk-task-code|coordinate-referral"
        tasks = self.http.get("Task", params={"focus": name, "code": parameters}).json().get("entry", [])
        episodes = self.http.get("EpisodeOfCare", params={"incoming-referral": name}).json().get("entry", [])
        assert len(tasks) == len(episodes) <= 1
        task = tasks[0]["resource"] if tasks else None
        return self.http.get(name).json(), task, episodes[0]["resource"] if episodes else None


def extension(resource: Json, name: str) -> Json:
    """The one extension of ours of that name."""
    (found,) = [one for one in resource["extension"] if one["url"] == f"{BASE}/StructureDefinition/{name}"]
    return found


def parts(complex_extension: Json) -> Json:
    return {
        part["url"]: next(value for key, value in part.items() if key != "url")
        for part in complex_extension["extension"]
    }


def of_type(answer: httpx.Response, resource_type: str) -> list[Json]:
    resources = (entry["resource"] for entry in answer.json()["entry"])
    return [one for one in resources if one["resourceType"] == resource_type]
