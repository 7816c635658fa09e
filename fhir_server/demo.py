"""Twelve invented patients on the knee pathway, at every stage of it; always the same.

Their plans are made by the pathway code behind $apply and their scores by the scorer behind $score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.observation import derived_id, observations
from fhir_server.instruments.scoring import score_response
from fhir_server.model.nhs_number import SYSTEM as NHS_NUMBER
from fhir_server.operations.referral_record import with_events
from fhir_server.pathways.apply import AppliedPlan, apply_pathway
from fhir_server.pathways.apply_steps import SDC, Context
from fhir_server.pathways.definition import Pathway
from fhir_server.pathways.definition_reading import read_pathway
from fhir_server.pathways.referral import STATES
from fhir_server.pathways.replan import action_of
from fhir_server.pathways.rtt import Event
from fhir_server.pathways.step_outcome import view_given

Json = dict[str, Any]

TODAY = date(2026, 11, 2)
"""The day the demo is about: steps are open or missed as of it."""
FIRST_PATIENT = "demo-1"
PATHWAY = "knee-oa-arthroplasty-1.0.0"
UBRN = "https://fhir.nhs.uk/Id/UBRN"
"""System of e-RS's booking reference; the demo's are invented."""
MESSAGE_CATEGORY = "https://fhir.nhs.uk/CodeSystem/message-category-servicerequest"

_PRACTICE = {
    "resourceType": "Organization",
    "id": "demo-practice",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "Z99901"}],
    "active": True,
    "name": "Rivelin Valley Surgery (invented)",
}
_SERVICE = {
    "resourceType": "Organization",
    "id": "demo-service",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "Z99902"}],
    "active": True,
    "name": "Five Weirs MSK Service (invented)",
}
_CLINICIAN = {
    "resourceType": "Practitioner",
    "id": "demo-physiotherapist",
    "active": True,
    "name": [{"family": "Ní Dhomhnaill", "given": ["Gráinne"], "text": "Gráinne Ní Dhomhnaill"}],
}


@dataclass(frozen=True, slots=True)
class _Answer:
    """A questionnaire answered `day` days after the referral: every item at `level`, the first `raised` one above."""

    instrument: str
    day: int
    level: int
    raised: int = 0
    step: str | None = None
    """Id of the action of the pathway it was answered for."""


@dataclass(frozen=True, slots=True)
class _Person:
    given: str
    family: str
    gender: str
    born: str
    nhs_number: str
    side: str
    received: date
    anchors: dict[str, int] = field(default_factory=dict)
    """Days after the referral, by event."""
    answers: tuple[_Answer, ...] = ()


def _course(*levels: tuple[int, int], operation: int = 0) -> tuple[_Answer, ...]:
    """Oxford Knee Scores at baseline, six weeks after acceptance on day 6, before and six months after `operation`."""
    due = (("baseline-oks", 5), ("w6-oks", 49), ("pre-op-oks", operation - 20), ("m6-oks", operation + 185))
    return tuple(
        _Answer("oks", day, level, raised, step) for (step, day), (level, raised) in zip(due, levels, strict=False)
    )


_OPERATED = {"accepted": 6, "not-improving": 50, "listed": 85, "operation": 150}
_PEOPLE = (
    _Person("Zoë", "O’Brien", "female", "1958-04-12", "9991000011", "left", date(2026, 10, 30)),
    _Person("José", "Núñez", "male", "1949-11-03", "9991000038", "right", date(2026, 10, 20), {}, _course((2, 1))),
    _Person("Siân", "Llywelyn", "female", "1962-01-29", "9991000046", "left", date(2026, 10, 12), {"accepted": 6}),
    _Person(
        "Łukasz", "Wójcik", "male", "1971-08-17", "9991000054", "right", date(2026, 9, 4),
        {"accepted": 6}, _course((2, 4), (2, 9)),
    ),
    _Person(
        "Chloë", "Châtelain", "female", "1966-06-06", "9991000062", "left", date(2026, 8, 10),
        {"accepted": 6, "improving": 50}, _course((2, 0), (3, 3)),
    ),
    _Person(
        "Søren", "Jørgensen", "male", "1955-12-24", "9991000070", "right", date(2026, 8, 3),
        {"accepted": 6, "not-improving": 50}, (*_course((1, 6), (1, 2)), _Answer("phq-9", 6, 1, 9)),
    ),
    _Person(
        "Ngọc", "Nguyễn", "female", "1960-02-14", "9991000089", "left", date(2026, 7, 6),
        {"accepted": 6, "not-improving": 50, "listed": 85}, _course((1, 2), (1, 5)),
    ),
    _Person(
        "Jürgen", "Müller", "male", "1947-05-30", "9991000097", "right", date(2026, 6, 1),
        _OPERATED, _course((1, 3), (1, 0), (0, 9), operation=150),
    ),
    _Person(
        "Małgorzata", "Kowalczyk", "female", "1952-09-09", "9991000100", "left", date(2025, 11, 3),
        _OPERATED, _course((1, 4), (1, 1), (1, 0), (3, 5), operation=150),
    ),
    _Person(
        "François", "D’Angelo", "male", "1950-03-21", "9991000119", "right", date(2025, 10, 6),
        _OPERATED, _course((0, 10), (1, 0), (0, 8), (2, 7), operation=150),
    ),
    _Person(
        "Şebnem", "Çelik", "female", "1964-07-01", "9991000127", "left", date(2025, 9, 1),
        _OPERATED, (*_course((1, 0), (1, 1), (1, 2), (3, 11), operation=150), _Answer("phq-9", 6, 0, 4)),
    ),
    _Person(
        "Adébáyò", "Okonkwo", "male", "1945-10-10", "9991000135", "right", date(2025, 6, 2),
        _OPERATED, _course((1, 8), (1, 3), (1, 1), (4, 0), operation=150),
    ),
)  # fmt: skip


def demo_resources(content: list[Json], canonical_base: str, time_zone: str) -> list[Json]:
    """All resources of the demo, from the shipped `content`."""
    maker = _Maker(content, canonical_base, ZoneInfo(time_zone))
    resources: list[Json] = [_PRACTICE, _SERVICE, _CLINICIAN]
    for number, person in enumerate(_PEOPLE, 1):
        resources += maker.record(f"demo-{number}", person)
    return resources


class _Maker:
    """Makes the record of one person after the other from the same pathway and instruments."""

    def __init__(self, content: list[Json], canonical_base: str, zone: ZoneInfo) -> None:
        self._base = canonical_base
        self._zone = zone
        self._instruments = shipped(canonical_base)
        by_id = {(resource["resourceType"], resource["id"]): resource for resource in content}
        self._plan = by_id["PlanDefinition", PATHWAY]
        self._pathway: Pathway = read_pathway(self._plan, canonical_base)
        self._activities = {
            f"{resource['url']}|{resource['version']}": resource
            for resource in content
            if resource["resourceType"] == "ActivityDefinition"
        }

    def record(self, key: str, person: _Person) -> Iterator[Json]:
        yield _patient(key, person)
        yield from self._referral(key, person)
        applied = self._applied(key, person)
        yield applied.care_plan
        tasks = {action_of(step, self._base): step for step in applied.steps}
        for answer in person.answers:
            response = self._response(key, person, answer, applied)
            yield response
            yield from self._scores(response, self._instruments.instrument(answer.instrument))
            if answer.step:
                _complete(tasks[answer.step], response)
        for step in applied.steps:
            viewed = _look_lived_with(step, self._at(person.received).isoformat(), self._base)
            if viewed is not None:
                yield viewed
            yield step

    def _at(self, day: date, hour: int = 9) -> datetime:
        return datetime.combine(day, time(hour), self._zone)

    def _referral(self, key: str, person: _Person) -> Iterator[Json]:
        received = self._at(person.received).isoformat()
        patient = {"reference": f"Patient/{key}"}
        accepted = "accepted" in person.anchors
        state = "accepted" if accepted else "submitted"
        request = {
            "resourceType": "ServiceRequest",
            "id": f"{key}-referral",
            "extension": [
                {"url": f"{self._base}/StructureDefinition/msk-received", "valueDateTime": received},
                {"url": f"{self._base}/StructureDefinition/msk-referral-state", "valueCode": state},
            ],
            "identifier": [{"system": UBRN, "value": f"{int(key.removeprefix('demo-')):012}"}],
            "status": "active",
            "intent": "order",
            "category": [
                {"coding": [{"system": MESSAGE_CATEGORY, "code": "referral"}]},
                {"coding": [{"system": f"{self._base}/CodeSystem/msk-request-category", "code": "referral"}]},
            ],
            "priority": "routine",
            "code": {"text": "Referral to the musculoskeletal service"},
            "subject": patient,
            "authoredOn": received,
            "requester": {"reference": f"Organization/{_PRACTICE['id']}"},
            "performer": [{"reference": f"Organization/{_SERVICE['id']}"}],
            "reasonCode": [{"text": f"Osteoarthritis of the {person.side} knee"}],
        }
        yield request
        yield {
            "resourceType": "Task",
            "id": f"{key}-triage",
            "status": "completed" if accepted else "requested",
            "businessStatus": {"coding": [{"system": f"{self._base}/CodeSystem/msk-referral-state", "code": state}]},
            "intent": "order",
            "code": {
                "coding": [{"system": f"{self._base}/CodeSystem/msk-task-code", "code": "coordinate-referral"}],
                "text": "Triage of the referral",
            },
            "focus": {"reference": f"ServiceRequest/{request['id']}"},
            "for": patient,
            "authoredOn": received,
            "lastModified": received,
            "owner": {"reference": f"Organization/{_SERVICE['id']}"},
        }
        yield self._episode(key, person, state)

    def _episode(self, key: str, person: _Person, state: str) -> Json:
        """The clock runs since the referral was received."""
        happened = [(person.received, "submitted", "10")]
        if state == "accepted":
            accepted = person.received + timedelta(person.anchors["accepted"])
            happened += [(accepted, "in-triage", "20"), (accepted, "accepted", "20")]
        status = STATES[state].episode
        episode = {
            "resourceType": "EpisodeOfCare",
            "id": f"{key}-episode",
            "status": status,
            "statusHistory": [{"status": status, "period": {"start": happened[-1][0].isoformat()}}],
            "patient": {"reference": f"Patient/{key}"},
            "managingOrganization": {"reference": f"Organization/{_SERVICE['id']}"},
            "referralRequest": [{"reference": f"ServiceRequest/{key}-referral"}],
            "period": {"start": person.received.isoformat()},
        }
        return with_events(episode, [Event(*one) for one in happened], self._base)

    def _applied(self, key: str, person: _Person) -> AppliedPlan:
        numbers = count()
        anchors = {event: person.received + timedelta(days) for event, days in person.anchors.items()}
        return apply_pathway(
            self._pathway,
            self._activities,
            Context(
                subject=f"Patient/{key}",
                anchors={"received": person.received, **anchors},
                now=self._at(TODAY),
                new_id=lambda: f"{key}-plan-{next(numbers)}",
                canonical_base=self._base,
                practitioner=f"Practitioner/{_CLINICIAN['id']}",
            ),
        )

    def _response(self, key: str, person: _Person, answer: _Answer, applied: AppliedPlan) -> Json:
        instrument = self._instruments.instrument(answer.instrument)
        when = person.received + timedelta(answer.day)
        patient = {"reference": f"Patient/{key}"}
        return {
            "resourceType": "QuestionnaireResponse",
            "id": f"{key}-{answer.instrument}-{when.isoformat()}",
            "extension": self._extensions(person, answer),
            "basedOn": [{"reference": f"CarePlan/{applied.care_plan['id']}"}],
            "questionnaire": instrument.canonical,
            "status": "completed",
            "subject": patient,
            "authored": self._at(when, 18).isoformat(),
            "author": patient,
            "source": patient,
            "item": list(_answered(instrument, answer)),
        }

    def _extensions(self, person: _Person, answer: _Answer) -> list[Json]:
        extensions = [{"url": f"{self._base}/StructureDefinition/msk-laterality", "valueCode": person.side}]
        timepoint = f"{self._base}/StructureDefinition/msk-timepoint"
        for action in self._plan["action"]:
            if action["id"] == answer.step:
                extensions += [extension for extension in action["extension"] if extension["url"] == timepoint]
        return extensions

    def _scores(self, response: Json, instrument: Instrument) -> Iterator[Json]:
        scoring = score_response(instrument, response, now=self._at(TODAY))
        for observation in observations(scoring, response):
            yield {**observation, "id": derived_id(response["id"], observation)}


def _patient(key: str, person: _Person) -> Json:
    return {
        "resourceType": "Patient",
        "id": key,
        "identifier": [{"use": "official", "system": NHS_NUMBER, "value": person.nhs_number}],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": person.gender,
        "birthDate": person.born,
        "generalPractitioner": [{"reference": f"Organization/{_PRACTICE['id']}"}],
        "managingOrganization": {"reference": f"Organization/{_SERVICE['id']}"},
    }


def _answered(instrument: Instrument, answer: _Answer) -> Iterator[Json]:
    asked = [item for item in instrument.questionnaire["item"] if instrument.items[item["linkId"]].type]
    for number, item in enumerate(asked):
        level = answer.level + (number < answer.raised)
        (coding,) = (
            option["valueCoding"] for option in item["answerOption"] if option["valueCoding"]["code"] == str(level)
        )
        chosen = {element: coding[element] for element in ("system", "code", "display")}
        yield {"linkId": item["linkId"], "text": item["text"], "answer": [{"valueCoding": chosen}]}


def _complete(task: Json, response: Json) -> None:
    """The step is done: R4 task.html#output names the response, as SDC's Task profile does."""
    task["status"] = "completed"
    task.pop("statusReason", None)
    task["executionPeriod"] = {"end": response["authored"]}
    task["lastModified"] = response["authored"]
    task["output"] = [
        {
            "type": {"coding": [{"system": SDC, "code": "questionnaire-response"}]},
            "valueReference": {"reference": f"QuestionnaireResponse/{response['id']}"},
        }
    ]


def _look_lived_with(step: Json, received: str, canonical_base: str) -> Json | None:
    """The plan was made when the referral came, and what was to be read was read before its window closed: the
    Communication that tells so."""
    for element in ("authoredOn", "created"):
        if element in step:
            step[element] = received
    if step["resourceType"] != "Task" or step["status"] == "completed":
        return None
    step["lastModified"] = received
    names_resource = any(given["type"]["coding"][0]["code"] == "resource" for given in step.get("input", ()))
    if step["status"] == "failed" and names_resource:
        end = step["restriction"]["period"]["end"]
        del step["statusReason"]
        read = f"{end}T18:00:00Z"
        viewed = {
            "resourceType": "Communication",
            "id": f"{step['id']}-viewed",
            "status": "completed",
            "category": [
                {
                    "coding": [
                        {"system": f"{canonical_base}/CodeSystem/msk-communication-category", "code": "resource-viewed"}
                    ]
                }
            ],
            "subject": step["for"],
            "about": [{"reference": f"Task/{step['id']}"}],
            "received": read,
        }
        output = view_given(viewed, canonical_base).output
        step.update(status="completed", lastModified=read, executionPeriod={"end": end}, output=[output])
        return viewed
    return None
