"""A sound workflow written by hand, as of 2026-03-02, for tests that break it: one patient, a plan of six steps."""

from __future__ import annotations

from typing import Any

BASE = "https://fhir.example.org/msk"
SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
OKS = f"{BASE}/Questionnaire/oks|1.0.0-neutral"
TODAY = "2026-03-02"

Json = dict[str, Any]


def sound() -> dict[str, list[Json]]:
    """Versions of each resource, oldest first, by Type/id."""
    steps = [*answered(), seen(), missed(), *planned(), appointment(), request()]
    found: dict[str, list[Json]] = {}
    for version in [patient(), plan(), *steps, *reminders(), *referral()]:
        versions = found.setdefault(f"{version['resourceType']}/{version['id']}", [])
        versions.append({**version, "meta": {"versionId": str(len(versions) + 1)}})
    return found


def patient() -> Json:
    return {"resourceType": "Patient", "id": "p", "active": True, "birthDate": "1950-04-01"}


def plan() -> Json:
    steps = [
        "Task/answered",
        "Task/seen",
        "Task/missed",
        "Task/planned",
        "Appointment/class",
        "ServiceRequest/exercise",
    ]
    return {
        "resourceType": "CarePlan",
        "id": "plan",
        "extension": [
            {
                "url": f"{BASE}/StructureDefinition/msk-anchor-date",
                "extension": [
                    {"url": "event", "valueCode": "received"},
                    {"url": "date", "valueDate": "2026-02-01"},
                ],
            },
            side("left"),
        ],
        "instantiatesCanonical": [f"{BASE}/PlanDefinition/knee-oa-arthroplasty|1.0.0"],
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/p"},
        "supportingInfo": [{"reference": "ServiceRequest/referral"}],
        "activity": [{"reference": {"reference": step}} for step in steps],
    }


def side(code: str) -> Json:
    return {"url": f"{BASE}/StructureDefinition/msk-laterality", "valueCode": code}


def timing(offset: int, before: int, after: int, event: str = "received") -> list[Json]:
    """The window of a step: offset days after `event`, give or take."""
    return [
        {
            "url": f"{BASE}/StructureDefinition/msk-step-anchor",
            "extension": [{"url": "event", "valueCode": event}, {"url": "offset", "valueDuration": days(offset)}],
        },
        {
            "url": f"{BASE}/StructureDefinition/msk-window",
            "extension": [
                {"url": "before", "valueDuration": days(before)},
                {"url": "after", "valueDuration": days(after)},
            ],
        },
    ]


def days(number: int) -> Json:
    return {"value": number, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}


def task(logical_id: str, status: str, start: str, end: str, extension: list[Json], **elements: Any) -> Json:
    return {
        "resourceType": "Task",
        "id": logical_id,
        "extension": [*extension, action(logical_id)],
        "instantiatesCanonical": f"{BASE}/ActivityDefinition/{logical_id}|1.0.0",
        "basedOn": [{"reference": "CarePlan/plan"}],
        "status": status,
        "intent": "plan",
        "for": {"reference": "Patient/p"},
        "owner": {"reference": "Patient/p"},
        "restriction": {"period": {"start": start, "end": end}},
        **elements,
    }


def action(name: str) -> Json:
    return {"url": f"{BASE}/StructureDefinition/msk-step-action", "valueString": name}


def asks(canonical: str) -> list[Json]:
    return [{"type": {"coding": [{"system": SDC, "code": "questionnaire"}]}, "valueCanonical": canonical}]


def answers(reference: str) -> list[Json]:
    kind = {"coding": [{"system": SDC, "code": "questionnaire-response"}]}
    return [{"type": kind, "valueReference": {"reference": reference}}]


def why(code: str) -> Json:
    return {"coding": [{"system": f"{BASE}/CodeSystem/msk-step-reason", "code": code}]}


def answered() -> list[Json]:
    """A questionnaire step, done on 10 February, its response and the score."""
    level = {"system": f"{BASE}/CodeSystem/oks-answer", "code": "2"}
    asked = task("answered", "requested", "2026-02-01", "2026-02-15", timing(0, 0, 14), input=asks(OKS))
    return [
        asked,
        {
            **asked,
            "status": "completed",
            "executionPeriod": {"start": "2026-02-10T10:00:00+00:00", "end": "2026-02-10T10:00:00+00:00"},
            "output": answers("QuestionnaireResponse/answers"),
        },
        {
            "resourceType": "QuestionnaireResponse",
            "id": "answers",
            "questionnaire": OKS,
            "status": "completed",
            "subject": {"reference": "Patient/p"},
            "authored": "2026-02-10T10:00:00+00:00",
            "item": [{"linkId": f"q{number}", "answer": [{"valueCoding": level}]} for number in range(1, 13)],
        },
        {
            "resourceType": "Observation",
            "id": "score",
            "status": "final",
            "code": {"coding": [{"system": f"{BASE}/CodeSystem/msk-score", "code": "oks.total"}]},
            "subject": {"reference": "Patient/p"},
            "valueQuantity": {"value": 24},
            "derivedFrom": [{"reference": "QuestionnaireResponse/answers"}],
        },
    ]


def seen() -> Json:
    """A step of the patient's in its window, which ends today."""
    return task("seen", "ready", "2026-02-15", TODAY, timing(14, 0, 15))


def missed() -> Json:
    return task(
        "missed",
        "failed",
        "2026-02-01",
        "2026-02-08",
        timing(0, 0, 7),
        statusReason=why("window-closed"),
        input=asks(OKS),
    )


def planned() -> list[Json]:
    """A step from tomorrow on, which was later before the anchor moved."""
    later = task("planned", "draft", "2026-03-10", "2026-03-24", timing(30, 0, 14))
    return [later, {**later, "restriction": {"period": {"start": "2026-03-03", "end": "2026-03-17"}}}]


def appointment() -> Json:
    return {
        "resourceType": "Appointment",
        "id": "class",
        "extension": [*timing(60, 7, 7), action("class")],
        "status": "proposed",
        "supportingInformation": [{"reference": "CarePlan/plan"}],
        "participant": [{"actor": {"reference": "Patient/p"}, "status": "needs-action"}],
        "requestedPeriod": [{"start": "2026-03-26", "end": "2026-04-09"}],
    }


def request() -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": "exercise",
        "extension": [*timing(7, 0, 84), action("exercise")],
        "basedOn": [{"reference": "CarePlan/plan"}],
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/p"},
        "occurrencePeriod": {"start": "2026-02-08", "end": "2026-05-03"},
    }


def reminders() -> list[Json]:
    """As many as there may be."""
    return [reminder(f"r{day}", f"2026-02-0{day}T08:00:00+00:00") for day in (4, 8, 9)]


def reminder(logical_id: str, sent: str) -> Json:
    return {
        "resourceType": "Communication",
        "id": logical_id,
        "status": "completed",
        "category": [
            {"coding": [{"system": f"{BASE}/CodeSystem/msk-communication-category", "code": "reminder"}]},
        ],
        "subject": {"reference": "Patient/p"},
        "about": [{"reference": "Task/answered"}],
        "sent": sent,
    }


def referral() -> list[Json]:
    """Sent on 1 February, accepted two moves later, each with its Provenance; the clock runs."""
    states = ("submitted", "in-triage", "accepted")
    tasks = [coordination(*one) for one in zip(states, ("requested", "in-progress", "completed"), strict=True)]
    return [
        {
            "resourceType": "ServiceRequest",
            "id": "referral",
            "extension": [{"url": f"{BASE}/StructureDefinition/msk-referral-state", "valueCode": "accepted"}],
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/p"},
        },
        *tasks,
        {
            "resourceType": "EpisodeOfCare",
            "id": "episode",
            "extension": clock("20"),
            "status": "active",
            "patient": {"reference": "Patient/p"},
            "referralRequest": [{"reference": "ServiceRequest/referral"}],
        },
        *(told(number) for number in (2, 3)),
    ]


def coordination(state: str, status: str) -> Json:
    return {
        "resourceType": "Task",
        "id": "coordination",
        "status": status,
        "businessStatus": {"coding": [{"system": f"{BASE}/CodeSystem/msk-referral-state", "code": state}]},
        "intent": "order",
        "code": {"coding": [{"system": f"{BASE}/CodeSystem/msk-task-code", "code": "coordinate-referral"}]},
        "focus": {"reference": "ServiceRequest/referral"},
        "for": {"reference": "Patient/p"},
    }


def clock(status: str, stop: str | None = None, *later: tuple[str, str, str]) -> list[Json]:
    """The clock from 1 February, and the events it follows from: (date, state, status)."""
    parts = [{"url": "start", "valueDate": "2026-02-01"}, {"url": "status", "valueCode": status}]
    if stop:
        parts.append({"url": "stop", "valueDate": stop})
    moves = [("2026-02-01", "submitted", "10"), ("2026-02-02", "in-triage", "20"), ("2026-02-02", "accepted", "20")]
    return [
        {"url": f"{BASE}/StructureDefinition/msk-rtt", "extension": parts},
        *({"url": f"{BASE}/StructureDefinition/msk-rtt-event", "extension": event(*one)} for one in (*moves, *later)),
    ]


def event(day: str, state: str, status: str) -> list[Json]:
    return [
        {"url": "date", "valueDate": day},
        {"url": "state", "valueCode": state},
        {"url": "status", "valueCode": status},
    ]


def told(number: int) -> Json:
    """Why the coordinating Task has its version `number`."""
    return {
        "resourceType": "Provenance",
        "id": f"why-{number}",
        "target": [{"reference": f"Task/coordination/_history/{number}"}],
        "recorded": "2026-02-01T09:00:00Z",
        "agent": [{"who": {"display": "Somebody of the service"}}],
    }
