"""What becomes of values: pseudonyms, codes, dates, references, what is required."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.deidentification.allow_list import allow_list, allowed_types
from fhir_server.deidentification.check_digits import is_concept_id, is_loinc
from fhir_server.deidentification.deidentifier import Deidentifier
from fhir_server.deidentification.known import Content, Known
from fhir_server.deidentification.pseudonyms import Pseudonyms
from fhir_server.model.json import encode
from fhir_server.validation import issues
from tests.r4_examples import example, example_texts, faulty_examples

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
SERVER = "https://trust.example/fhir"
MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}


def deidentifier(*content: Json) -> Deidentifier:
    known = Content()
    for one in content:
        known.add(one)
    return Deidentifier(Pseudonyms("k" * 32, "project", SERVER), Known(known, allow_list()), 2026, BASE)


PLAIN = deidentifier()


def patient(**elements: Any) -> Json:
    return PLAIN.resource({"resourceType": "Patient", "id": "p", **elements})


def observation(**elements: Any) -> Json:
    return PLAIN.resource(
        {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "Pain"}, **elements}
    )


@pytest.mark.parametrize(
    ("born", "kept"),
    [("1960-05-17", "1960"), ("1960-05", "1960"), ("1960", "1960"), ("1936-12-31", "1936"), ("1935-01-01", "1936")],
)
def test_of_a_birth_the_year_and_nobody_older_than_ninety(born: str, kept: str) -> None:
    assert patient(birthDate=born)["birthDate"] == kept


def test_of_a_death_the_month_or_that_it_was() -> None:
    assert patient(deceasedDateTime="2026-02-11T03:20:00.5Z")["deceasedDateTime"] == "2026-02"
    assert patient(deceasedDateTime="2026")["deceasedDateTime"] == "2026"
    assert patient(deceasedBoolean=True)["deceasedBoolean"] is True


def test_moments_lose_what_only_a_machine_writes() -> None:
    kept = observation(issued="2026-03-01T09:30:05.123456+01:00", effectiveDateTime="2026-03")
    assert (kept["issued"], kept["effectiveDateTime"]) == ("2026-03-01T09:30:05+01:00", "2026-03")


def codings(*given: tuple[str, str], content: tuple[Json, ...] = ()) -> list[tuple[str, str]]:
    code = {"coding": [{"system": s, "code": c, "display": "Somebody", "version": "v"} for s, c in given]}
    found = deidentifier(*content).resource(
        {"resourceType": "Observation", "id": "o", "status": "final", "code": code}
    )["code"]
    if found == MASKED:
        return []
    assert all(set(one) == {"system", "code"} for one in found["coding"])
    return [(one["system"], one["code"]) for one in found["coding"]]


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("http://snomed.info/sct", "45326000"),
        ("http://loinc.org", "72093-8"),
        ("http://hl7.org/fhir/sid/icd-10", "M17.1"),
        ("http://terminology.hl7.org/CodeSystem/observation-category", "survey"),
        ("urn:ietf:bcp:47", "en-GB"),
    ],
)
def test_published_codes_are_kept(system: str, code: str) -> None:
    assert codings((system, code)) == [(system, code)]


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("http://snomed.info/sct", "9434765919"),  # an NHS number
        ("http://snomed.info/sct", "45326001"),
        ("http://snomed.info/sct", "45326000:363698007=72696002"),
        ("http://loinc.org", "72093-9"),
        ("http://loinc.org", "Staniforth"),
        ("http://terminology.hl7.org/CodeSystem/observation-category", "Staniforth"),
        ("https://fhir.nhs.uk/Id/nhs-number", "9434765919"),
        (f"{BASE}/CodeSystem/ward", "bed-7"),
        ("", "survey"),
    ],
)
def test_others_are_not(system: str, code: str) -> None:
    assert codings((system, code)) == []
    assert codings((system, code), ("http://loinc.org", "72093-8")) == [("http://loinc.org", "72093-8")]


def test_codes_of_a_code_system_that_is_stored_are_kept() -> None:
    wards = {
        "resourceType": "CodeSystem",
        "url": "urn:wards",
        "concept": [{"code": "east", "concept": [{"code": "east-2"}]}],
    }
    assert codings(("urn:wards", "east-2"), ("urn:wards", "west"), content=(wards,)) == [("urn:wards", "east-2")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            {"value": 18, "unit": "score", "system": "http://unitsofmeasure.org", "code": "{score}"},
            {"value": 18, "system": "http://unitsofmeasure.org", "code": "{score}"},
        ),
        ({"value": 70, "unit": "kg"}, {"value": 70, "unit": "kg"}),
        ({"value": 70, "unit": "{Staniforth}"}, {"value": 70}),
        ({"value": 70, "unit": "9434765919"}, {"value": 70}),
        ({"value": 70, "system": "urn:own", "code": "kg"}, {"value": 70}),
        ({"value": 70, "comparator": "<"}, {"value": 70, "comparator": "<"}),
    ],
)
def test_quantities(given: Json, kept: Json) -> None:
    assert observation(valueQuantity=given)["valueQuantity"] == kept


def test_references_in_whatever_form_become_pseudonyms() -> None:
    def target(**reference: Any) -> Any:
        return observation(subject=reference).get("subject", {}).get("reference")

    same = {target(reference=text) for text in ("Patient/p", "Patient/p/_history/3", f"{SERVER}/Patient/p")}
    assert same == {f"Patient/{patient()['id']}"}
    others = [
        target(reference="https://other.example/fhir/Patient/p"),
        target(reference="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        target(reference="Patient?identifier=9434765919"),
        target(identifier={"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9434765919"}),
        target(identifier={"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9434765870"}),
    ]
    assert len(set(others)) == len(others)
    assert all(one.startswith("urn:uuid:") and "0c3151bd" not in one for one in others)
    assert target(display="Staniforth") is None


def test_contained_resources_that_something_kept_refers_to() -> None:
    inner: list[Json] = [
        {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Ní Dhomhnaill"}], "active": True},
        {"resourceType": "Organization", "id": "unused", "name": "Surgery"},
        {"resourceType": "Basic", "id": "other", "code": {"text": "x"}},
    ]
    references = [{"reference": "#dr"}, {"reference": "#other"}, {"reference": "#"}]
    kept = observation(contained=inner, performer=references)
    (practitioner,) = kept["contained"]
    assert practitioner == {"resourceType": "Practitioner", "id": practitioner["id"], "active": True}
    assert kept["performer"] == [{"reference": f"#{practitioner['id']}"}, {"reference": "#"}]
    assert practitioner["id"] not in ("dr", PLAIN.pseudonyms.of("Practitioner", "dr"))


def test_what_is_required_is_masked() -> None:
    """R4 extension-data-absent-reason.html; Observation.dataAbsentReason where there was a value (obs-6)."""
    kept = observation(valueString="I hurt")
    assert kept["code"] == MASKED
    assert kept["dataAbsentReason"]["coding"][0]["code"] == "masked"
    assert "valueString" not in kept
    request = PLAIN.resource(
        {
            "resourceType": "MedicationRequest",
            "id": "m",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": {"text": "Grandmother's tea"},
            "subject": {"display": "Staniforth"},
        }
    )
    assert (request["medicationCodeableConcept"], request["subject"]) == (MASKED, MASKED)


def test_a_modifier_that_is_left_out_is_told_of() -> None:
    """R4 extensibility.html#modifierExtension: who does not know it must not take the resource for what it says."""
    modifier = {"url": "https://trust.example/negated", "valueBoolean": True}
    (kept,) = observation(modifierExtension=[modifier])["modifierExtension"]
    assert kept == {"url": f"{BASE}/StructureDefinition/msk-withheld-modifier", "valueBoolean": True}


def test_answers_to_a_question_stay_together() -> None:
    form = {"resourceType": "Questionnaire", "url": "urn:form", "version": "1", "item": [{"linkId": "known"}]}
    response = {
        "resourceType": "QuestionnaireResponse",
        "id": "r",
        "status": "completed",
        "questionnaire": "urn:form|1",
        "item": [
            {"linkId": "known", "text": "Pain?", "answer": [{"valueInteger": 3}, {"valueString": "much"}]},
            {"linkId": "Staniforth", "answer": [{"valueBoolean": True}]},
        ],
    }
    kept = deidentifier(form).resource(response)
    assert kept["questionnaire"] == "urn:form|1"
    assert kept["item"][0] == {"linkId": "known", "answer": [{"valueInteger": 3}]}
    assert kept["item"][1] == {"linkId": PLAIN.pseudonyms.of("name", "Staniforth"), "answer": [{"valueBoolean": True}]}
    assert "questionnaire" not in PLAIN.resource(response)


@pytest.mark.parametrize(
    ("extension", "kept"),
    [
        (
            {"url": f"{BASE}/StructureDefinition/msk-imd", "extension": [{"url": "quintile", "valuePositiveInt": 1}]},
            True,
        ),
        ({"url": f"{BASE}/StructureDefinition/msk-imd", "extension": [{"url": "index", "valueString": "S17"}]}, False),
        ({"url": f"{BASE}/StructureDefinition/msk-imd", "extension": [{"url": "lsoa", "valueString": "IMD"}]}, False),
        ({"url": "urn:own", "valueInteger": 1}, False),
        ({"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 1}, True),
        ({"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueString": "Staniforth"}, False),
    ],
)
def test_extensions(extension: Json, kept: bool) -> None:
    assert patient(extension=[extension]).get("extension") == ([extension] if kept else None)


def test_pseudonyms_are_ids_of_their_project_type_and_key() -> None:
    one = Pseudonyms("k" * 32, "a", SERVER)
    others = [Pseudonyms("k" * 32, "b", SERVER), Pseudonyms("l" * 32, "a", SERVER)]
    assert one.of("Patient", "1") == Pseudonyms("k" * 32, "a", "").of("Patient", "1")
    assert len({one.of("Patient", "1"), one.of("Group", "1"), *(other.of("Patient", "1") for other in others)}) == 4
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 3


def test_check_digits() -> None:
    """SNOMED CT's own examples of identifiers, and LOINC's (LOINC Users' Guide, appendix: 2160-0)."""
    assert all(map(is_concept_id, ("100005", "138875005", "999999990989121104")))
    assert not any(map(is_concept_id, ("138875006", "101013", "9434765919")))
    assert all(map(is_loinc, ("2160-0", "72093-8", "LA6568-5")))
    assert not is_loinc("2160-1")


def examples() -> list[str]:
    found = []
    for name in example_texts():
        resource = example(name)
        if resource["resourceType"] in allowed_types() and name not in faulty_examples() and "id" in resource:
            found.append(name)
    return found


def test_the_examples_of_r4_stay_valid() -> None:
    names = examples()
    assert len(names) > 200
    for name in names:
        given = example(name)
        kept = PLAIN.resource(given)
        assert not issues(kept), (name, issues(kept))
        for text in ("Chalmers", "Windsor", "Eve Everywoman", "Skagerrak", "6547"):
            assert text not in encode(kept).decode(), name
