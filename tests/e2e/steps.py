"""Steps written by hand, and a clock that tests move: the workflow without a pathway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.instruments.responses import response
from tests.live_server import running_server

BASE = "https://fhir.example.org/msk"
SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
OKS = f"{BASE}/Questionnaire/oks|1.0.0-neutral"
GUIDE = f"{BASE}/Library/test-guide|1.0.0"
Json = dict[str, Any]


@dataclass
class Clinic:
    """A server with a movable clock, and one patient."""

    client: httpx.Client
    clock: Path
    database: str
    patient: str = field(default_factory=lambda: f"p{uuid4().hex}")

    def now(self, instant: str) -> None:
        self.clock.write_text(instant)

    def put(self, resource: Json, **headers: str) -> httpx.Response:
        return self.client.put(f"{resource['resourceType']}/{resource['id']}", json=resource, headers=headers)

    def stored(self, resource: Json) -> Json:
        answer = self.put(resource)
        assert answer.status_code in (200, 201), answer.text
        found: Json = answer.json()
        return found

    def read(self, reference: str) -> Json:
        answer = self.client.get(reference)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def post(self, resource: Json) -> httpx.Response:
        """With what the server has to say of it."""
        headers = {"Prefer": "return=OperationOutcome"}
        return self.client.post(resource["resourceType"], json=resource, headers=headers)

    def found(self, resource_type: str, **criteria: str) -> list[Json]:
        answer = self.client.get(resource_type, params={"patient": self.patient, **criteria}).json()
        return [entry["resource"] for entry in answer.get("entry", ())]

    def new_patient(self) -> None:
        self.patient = f"p{uuid4().hex}"
        self.stored({"resourceType": "Patient", "id": self.patient})

    def task(self, status: str = "requested", window: tuple[str, str] | None = None, **elements: Any) -> Json:
        """A stored step of the patient's, which asks for the Oxford Knee Score unless `input` says otherwise."""
        patient = {"reference": f"Patient/{self.patient}"}
        task: Json = {
            "resourceType": "Task",
            "id": f"t{uuid4().hex}",
            "status": status,
            "intent": "plan",
            "for": patient,
            "owner": patient,
            "input": [asks("questionnaire", OKS)],
            **elements,
        }
        if window:
            task["restriction"] = {"period": {"start": window[0], "end": window[1]}}
        return self.stored({key: value for key, value in task.items() if value is not None})

    def answers(self, task: Json | None = None, level: int = 4, **elements: Any) -> Json:
        """A completed response of the patient's that names `task`."""
        named = [names(task)] if task else []
        subject = {"reference": f"Patient/{self.patient}"}
        made = response("oks", [level] * 12, **{"subject": subject, "extension": named, **elements})
        return {key: value for key, value in made.items() if value not in (None, [])}


def asks(code: str, canonical: str) -> Json:
    system = SDC if code == "questionnaire" else f"{BASE}/CodeSystem/msk-task-input"
    return {"type": {"coding": [{"system": system, "code": code}]}, "valueCanonical": canonical}


def names(task: Json) -> Json:
    return {"url": f"{BASE}/StructureDefinition/msk-task", "valueReference": {"reference": f"Task/{task['id']}"}}


def is_step(action: str = "ask") -> list[Json]:
    """The extension of a step that a pathway made."""
    return [{"url": f"{BASE}/StructureDefinition/msk-step-action", "valueString": action}]


def why(task: Json) -> str | None:
    """The code of statusReason."""
    codings = task.get("statusReason", {}).get("coding", [])
    return next((str(one["code"]) for one in codings), None)


def said(answer: httpx.Response, severity: str = "warning") -> list[str]:
    """What the OperationOutcome of an answer says of steps: that labels are neutral is true of every score."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", answer.text
    texts = [issue["diagnostics"] for issue in outcome["issue"] if issue["severity"] == severity]
    return [text for text in texts if not text.startswith("Answered on neutral labels")]


def refused(answer: httpx.Response) -> tuple[int, str, list[str]]:
    """(status, code, expressions) of a refusal."""
    issues = answer.json()["issue"]
    return answer.status_code, issues[0]["code"], [place for issue in issues for place in issue.get("expression", ())]


@contextmanager
def running_clinic(database: str, directory: Path, *options: str) -> Iterator[Clinic]:
    clock = directory / "clock"
    clock.write_text("2026-03-02T09:00:00+00:00")
    with (
        running_server(database, directory, "--clock", str(clock), "--jobs-seconds", "0", *options) as server,
        httpx.Client(base_url=f"{server.base_url}/", timeout=60) as client,
    ):
        yield Clinic(client, clock, database)
