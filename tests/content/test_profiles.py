"""The shipped profiles: which there are, what they mark, their invariants, and what we make against them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from fhir_server.content import shipped_resources
from fhir_server.demo import demo_resources
from fhir_server.fhirpath import compile  # noqa: A004

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
UK_CORE = "https://fhir.hl7.org.uk/StructureDefinition"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"

TYPES = {
    "msk-patient": "Patient",
    "msk-referral": "ServiceRequest",
    "msk-service-request": "ServiceRequest",
    "msk-triage-task": "Task",
    "msk-step-task": "Task",
    "msk-episode": "EpisodeOfCare",
    "msk-careplan": "CarePlan",
    "msk-appointment": "Appointment",
    "msk-questionnaire": "Questionnaire",
    "msk-response": "QuestionnaireResponse",
    "msk-score": "Observation",
    "msk-resource": "Library",
    "msk-decision": "Observation",
    "msk-feedback": "QuestionnaireResponse",
    "msk-measure": "Measure",
    "msk-measure-report": "MeasureReport",
    "msk-goal": "Goal",
    "msk-consent": "Consent",
    "msk-provenance": "Provenance",
}
UK_CORE_MARKS = {
    "msk-patient": "identifier active name telecom gender birthDate address managingOrganization",
    "msk-referral": "basedOn status intent category priority code subject authoredOn requester reasonCode",
    "msk-appointment": "status specialty appointmentType start basedOn participant",
    "msk-careplan": "status intent category subject",
    "msk-episode": "status patient period careManager",
    "msk-questionnaire": "url title status subjectType item item.linkId item.text item.type",
    "msk-response": "identifier questionnaire status subject authored author item.linkId item.answer",
    "msk-score": "status category code subject effective[x] performer value[x] component",
}
"""What the UK Core profiles of 2025 mark as mustSupport and is marked here too."""


def profiles() -> dict[str, Json]:
    return {
        one["url"].rsplit("/", 1)[1]: one
        for one in shipped_resources(BASE)
        if one["resourceType"] == "StructureDefinition" and one["type"] != "Extension"
    }


PROFILES = profiles()


def elements(name: str) -> list[Json]:
    found = PROFILES[name]["differential"]["element"]
    assert isinstance(found, list)
    return found


def constraints() -> dict[str, tuple[str, str]]:
    """key -> (path, expression)"""
    return {
        rule["key"]: (element["path"], rule["expression"])
        for name in PROFILES
        for element in elements(name)
        for rule in element.get("constraint", ())
    }


def test_the_profiles_and_their_types() -> None:
    assert {name: one["type"] for name, one in PROFILES.items()} == TYPES


@pytest.mark.parametrize("name", TYPES)
def test_the_base_is_r4s_own_and_the_counterpart_is_named(name: str) -> None:
    profile = PROFILES[name]
    assert profile["baseDefinition"] == f"http://hl7.org/fhir/StructureDefinition/{TYPES[name]}"
    assert "snapshot" not in profile
    assert "UK Core" in profile["purpose"] or "UKCore" in profile["purpose"]


@pytest.mark.parametrize("name", UK_CORE_MARKS)
def test_what_uk_core_marks_is_marked(name: str) -> None:
    marked = {element["path"].partition(".")[2] for element in elements(name) if element.get("mustSupport")}
    assert set(UK_CORE_MARKS[name].split()) <= marked


def nhs(value: str) -> Json:
    return {"system": NHS_NUMBER, "value": value}


REASON = {"url": f"{UK_CORE}/Extension-UKCore-NHSNumberUnavailableReason", "valueCodeableConcept": {"text": "visitor"}}
ACTOR = {"actor": {"reference": "Patient/1"}, "status": "accepted"}
SCORING = {"url": f"{BASE}/StructureDefinition/msk-scoring"}

INVARIANTS: dict[str, tuple[list[Json], list[Json]]] = {
    "msk-pat-1": (
        [
            {"resourceType": "Patient", "identifier": [nhs("9990000018")]},
            {"resourceType": "Patient", "extension": [REASON]},
        ],
        [
            {"resourceType": "Patient"},
            {"resourceType": "Patient", "identifier": [{"system": "http://hospital", "value": "1"}]},
        ],
    ),
    "msk-pat-2": (
        [{"resourceType": "Patient", "identifier": [nhs("9990000018")]}],
        [
            {"resourceType": "Patient", "identifier": [nhs("999 000 0018")]},
            {"resourceType": "Patient", "identifier": [nhs("99900000180")]},
        ],
    ),
    "msk-ref-1": (
        [
            {"resourceType": "ServiceRequest", "reasonCode": [{"text": "knee pain"}]},
            {"resourceType": "ServiceRequest", "bodySite": [{"text": "knee"}]},
        ],
        [{"resourceType": "ServiceRequest", "code": {"text": "referral"}}],
    ),
    "msk-step-1": (
        [
            {"resourceType": "Task", "status": "requested"},
            {"resourceType": "Task", "status": "failed", "statusReason": {"text": "window closed"}},
        ],
        [{"resourceType": "Task", "status": "failed"}, {"resourceType": "Task", "status": "cancelled"}],
    ),
    "msk-app-1": (
        [{"resourceType": "Appointment", "participant": [{"status": "accepted"}, ACTOR]}],
        [
            {"resourceType": "Appointment", "participant": [{"status": "accepted"}]},
            {"resourceType": "Appointment", "participant": [{"actor": {"reference": "Practitioner/1"}}]},
        ],
    ),
    "msk-app-2": (
        [
            {"resourceType": "Appointment", "status": "proposed"},
            {
                "resourceType": "Appointment",
                "status": "booked",
                "start": "2026-11-25T09:00:00Z",
                "end": "2026-11-25T09:20:00Z",
            },
        ],
        [
            {"resourceType": "Appointment", "status": "booked", "start": "2026-11-25T09:00:00Z"},
            {"resourceType": "Appointment", "status": "noshow"},
        ],
    ),
    "msk-qnr-1": (
        [
            {"resourceType": "Questionnaire"},
            {"resourceType": "Questionnaire", "extension": [SCORING], "copyright": "x"},
        ],
        [{"resourceType": "Questionnaire", "extension": [SCORING]}],
    ),
    "msk-rsp-1": (
        [{"resourceType": "QuestionnaireResponse", "questionnaire": f"{BASE}/Questionnaire/oks|1.0.0"}],
        [
            {"resourceType": "QuestionnaireResponse", "questionnaire": f"{BASE}/Questionnaire/oks"},
            {"resourceType": "QuestionnaireResponse", "questionnaire": f"{BASE}/Questionnaire/oks|"},
        ],
    ),
    "msk-fbk-1": (
        [{"resourceType": "QuestionnaireResponse", "questionnaire": f"{BASE}/Questionnaire/fft|1.0.0"}],
        [{"resourceType": "QuestionnaireResponse", "questionnaire": f"{BASE}/Questionnaire/fft"}],
    ),
    "msk-sco-1": (
        [
            {"resourceType": "Observation", "valueQuantity": {"value": 30}},
            {"resourceType": "Observation", "dataAbsentReason": {"text": "too few answers"}},
        ],
        [{"resourceType": "Observation", "note": [{"text": "none"}]}],
    ),
    "msk-mrp-1": (
        [
            {"resourceType": "MeasureReport", "type": "summary"},
            {"resourceType": "MeasureReport", "type": "summary", "subject": {"reference": "Group/1"}},
            {"resourceType": "MeasureReport", "type": "individual", "subject": {"reference": "Patient/1"}},
        ],
        [{"resourceType": "MeasureReport", "type": "summary", "subject": {"reference": "Patient/1"}}],
    ),
    "msk-gol-1": (
        [
            {"resourceType": "Goal", "startDate": "2026-11-25"},
            {"resourceType": "Goal", "target": [{"dueDate": "2027-02-01"}]},
        ],
        [{"resourceType": "Goal", "target": [{"detailString": "walk to the shops"}]}],
    ),
}
"""By key: resources that satisfy the invariant, and resources that do not."""


def holds(key: str, resource: Json) -> bool:
    """At every element of its path (R4 conformance-rules.html#constraints): true, or nothing said."""
    path, expression = constraints()[key]
    steps = path.partition(".")[2]
    whole = f"{steps}.all({expression})" if steps else expression
    return compile(whole).evaluate(resource) in ([True], [])


def test_each_invariant_has_examples() -> None:
    assert set(INVARIANTS) == set(constraints())


@pytest.mark.parametrize("key", INVARIANTS)
def test_invariants_let_through_and_refuse(key: str) -> None:
    good, bad = INVARIANTS[key]
    assert [holds(key, one) for one in good] == [True] * len(good)
    assert [holds(key, one) for one in bad] == [False] * len(bad)


@cache
def stored() -> tuple[Json, ...]:
    shipped = shipped_resources(BASE)
    return (*shipped, *demo_resources(shipped, BASE, "Europe/London"))


def of_type(name: str) -> Iterator[Json]:
    yield from (one for one in stored() if one["resourceType"] == name)


def test_the_resources_we_ship_and_make_satisfy_their_profiles() -> None:
    """Required and forbidden elements and invariants; slices are left to a validator of profiles."""
    made = {
        "msk-patient": list(of_type("Patient")),
        "msk-referral": [one for one in of_type("ServiceRequest") if "basedOn" not in one],
        "msk-triage-task": [one for one in of_type("Task") if "focus" in one],
        "msk-appointment": list(of_type("Appointment")),
        "msk-questionnaire": list(of_type("Questionnaire")),
        "msk-resource": list(of_type("Library")),
        "msk-careplan": list(of_type("CarePlan")),
        "msk-step-task": [one for one in of_type("Task") if "instantiatesCanonical" in one],
        "msk-response": list(of_type("QuestionnaireResponse")),
        "msk-score": list(of_type("Observation")),
    }
    assert all(made.values())
    faults = [
        f"{resource['resourceType']}/{resource['id']}: {fault}"
        for name, resources in made.items()
        for resource in resources
        for fault in faults_of(name, resource)
    ]
    assert faults == []


def faults_of(name: str, resource: Json) -> Iterator[str]:
    for element in elements(name):
        if ":" in element["id"] or "." not in element["path"]:
            continue
        parent, _, last = element["path"].removesuffix("[x]").rpartition(".")
        path = parent.partition(".")[2]
        for wanted, expression in (
            (element.get("min", 0) > 0, f"{last}.exists()"),
            (element.get("max") == "0", f"{last}.empty()"),
        ):
            whole = f"{path}.all({expression})" if path else expression
            if wanted and compile(whole).evaluate(resource) != [True]:
                yield f"{element['path']}: {whole}"
    own = {rule["key"] for one in elements(name) for rule in one.get("constraint", ())}
    yield from (f"{constraints()[key][0]}: {key}" for key in own if not holds(key, resource))
