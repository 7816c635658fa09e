"""The shipped search parameters over HTTP: searchable on a server that has just started, by value and :missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.content import shipped_resources

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
PATIENT = {"reference": "Patient/none"}
PLAN = {"reference": "CarePlan/none"}
CODE = {"text": "test"}
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
OUTPUT = {"reference": "QuestionnaireResponse/answered"}


def extension(name: str, **value: Any) -> list[Json]:
    return [{"url": f"{BASE}/StructureDefinition/{name}", **value}]


def task(**elements: Any) -> Json:
    return {"resourceType": "Task", "status": "requested", "intent": "plan", **elements}


def observation(**elements: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": CODE, **elements}


def request(**elements: Any) -> Json:
    return {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": PATIENT, **elements}


def flag(**elements: Any) -> Json:
    return {"resourceType": "Flag", "code": CODE, "subject": PATIENT, **elements}


def response(**elements: Any) -> Json:
    return {"resourceType": "QuestionnaireResponse", "status": "in-progress", **elements}


def episode(**elements: Any) -> Json:
    return {"resourceType": "EpisodeOfCare", "status": "active", "patient": PATIENT, **elements}


def library(**elements: Any) -> Json:
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "asset-collection"}]}
    return {"resourceType": "Library", "status": "active", "type": kind, **elements}


def plan(**elements: Any) -> Json:
    return {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": PATIENT, **elements}


def rtt(start: str) -> list[Json]:
    parts = [{"url": "start", "valueDate": start}, {"url": "status", "valueCode": "10"}]
    return extension("msk-rtt", extension=parts)


def period(start: str, end: str) -> Json:
    return {"period": {"start": start, "end": end}}


CASES: dict[str, tuple[Json, Json, list[str], list[str]]] = {
    "Task-due": (
        task(restriction=period("2031-03-01", "2031-03-14")),
        task(),
        ["due=2031-03", "due=le2031-03-01", "due=eb2031-03-15"],
        ["due=2031-04", "due=eb2031-03-14", "due=sa2031-03-01"],
    ),
    "Task-opens": (
        task(status="draft", restriction=period("2031-03-01", "2031-03-14")),
        task(restriction=period("2031-03-01", "2031-03-14")),
        ["opens=2031-03-01", "opens=le2031-03-01"],
        ["opens=2031-03-14", "opens=lt2031-03-01"],
    ),
    "Task-closes": (
        task(status="in-progress", restriction=period("2031-03-01", "2031-03-14")),
        task(status="failed", restriction=period("2031-03-01", "2031-03-14")),
        ["closes=2031-03-14", "closes=lt2031-03-15"],
        ["closes=2031-03-01", "closes=lt2031-03-14"],
    ),
    "ServiceRequest-opens": (
        request(status="draft", basedOn=[PLAN], occurrencePeriod=period("2031-03-01", "2031-03-14")["period"]),
        request(basedOn=[PLAN], occurrencePeriod=period("2031-03-01", "2031-03-14")["period"]),
        ["opens=2031-03-01", "opens=le2031-03-01"],
        ["opens=2031-03-14", "opens=lt2031-03-01"],
    ),
    "Flag-status": (
        flag(status="active"),
        flag(_status={"extension": [{"url": ABSENT, "valueCode": "unknown"}]}),
        ["status=active", "status=active,inactive"],
        ["status=inactive"],
    ),
    "Task-output": (
        task(output=[{"type": CODE, "valueReference": OUTPUT}]),
        task(output=[{"type": CODE, "valueString": "none"}]),
        ["output=QuestionnaireResponse/answered"],
        ["output=QuestionnaireResponse/other"],
    ),
    "Task-input-canonical": (
        task(input=[{"type": CODE, "valueCanonical": f"{BASE}/Questionnaire/oks|1.0.0-neutral"}]),
        task(input=[{"type": CODE, "valueString": "none"}]),
        [f"input-canonical={BASE}/Questionnaire/oks", f"input-canonical={BASE}/Questionnaire/oks|1.0.0-neutral"],
        [f"input-canonical={BASE}/Questionnaire/ohs", f"input-canonical={BASE}/Questionnaire/oks|2.0.0"],
    ),
    "QuestionnaireResponse-timepoint": (
        response(extension=extension("msk-timepoint", valueCode="m6")),
        response(),
        ["timepoint=m6", "timepoint=baseline,m6"],
        ["timepoint=m3"],
    ),
    "QuestionnaireResponse-task": (
        # Stopped: it answers no step, which would have to be here.
        response(status="stopped", extension=extension("msk-task", valueReference={"reference": "Task/step"})),
        response(),
        ["task=Task/step", "task=step"],
        ["task=Task/other"],
    ),
    "Observation-timepoint": (
        observation(extension=extension("msk-timepoint", valueCode="pre-op")),
        observation(extension=extension("msk-laterality", valueCode="left")),
        ["timepoint=pre-op"],
        ["timepoint=left"],
    ),
    "ServiceRequest-received": (
        request(extension=extension("msk-received", valueDateTime="2031-05-04T09:30:00+01:00")),
        request(),
        ["received=2031-05-04", "received=gt2031-05-03"],
        ["received=2031-05-05"],
    ),
    "ServiceRequest-referral-state": (
        request(extension=extension("msk-referral-state", valueCode="in-triage")),
        request(),
        ["referral-state=in-triage"],
        ["referral-state=triage"],
    ),
    "EpisodeOfCare-rtt-start": (
        episode(extension=rtt("2031-05-04")),
        episode(),
        ["rtt-start=2031-05-04", "rtt-start=lt2031-06"],
        ["rtt-start=2031-05-05"],
    ),
    "Library-review-due": (
        library(effectivePeriod={"start": "2031-01-01", "end": "2033-01-01"}),
        library(effectivePeriod={"start": "2031-01-01"}),
        ["review-due=2033-01-01", "review-due=ge2033"],
        ["review-due=2031-01-01"],
    ),
    "CarePlan-pathway": (
        plan(instantiatesCanonical=[f"{BASE}/PlanDefinition/knee-oa-arthroplasty|1.0.0"]),
        plan(),
        [f"pathway={BASE}/PlanDefinition/knee-oa-arthroplasty", "pathway.version=1.0.0"],
        [f"pathway={BASE}/PlanDefinition/low-back-pain", f"pathway={BASE}/PlanDefinition/knee-oa-arthroplasty|9.0.0"],
    ),
}
"""By SearchParameter: a resource with the value, one without, criteria that find the first, criteria that do not."""


def test_each_shipped_parameter_has_a_case() -> None:
    shipped = {
        resource["url"].rsplit("/", 1)[1]
        for resource in shipped_resources(BASE)
        if resource["resourceType"] == "SearchParameter"
    }
    assert shipped == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_value_and_missing(base_url: str, name: str) -> None:
    holder, without, finding, passing = CASES[name]
    resource_type, _, code = name.partition("-")
    ids = {one: stored(base_url, body) for one, body in (("holder", holder), ("without", without))}

    def found(criteria: str) -> set[str]:
        url = f"{base_url}/{resource_type}?_id={ids['holder']},{ids['without']}&{criteria}"
        answer = httpx.get(url, headers={"Prefer": "handling=strict"})
        assert answer.status_code == 200, answer.text
        return {entry["resource"]["id"] for entry in answer.json().get("entry", [])}

    for criteria in finding:
        assert found(criteria) == {ids["holder"]}, criteria
    for criteria in passing:
        assert found(criteria) == set(), criteria
    assert found(f"{code}:missing=false") == {ids["holder"]}
    assert found(f"{code}:missing=true") == {ids["without"]}


def test_steps_sorted_by_due(base_url: str) -> None:
    windows = [("2031-06-01", "2031-06-14"), ("2030-06-01", "2030-06-14"), ("2032-06-01", "2032-06-14")]
    ids = [stored(base_url, task(restriction=period(*window))) for window in windows]
    for sort, order in (("due", (1, 0, 2)), ("-due", (2, 0, 1))):
        url = f"{base_url}/Task?_id={','.join(ids)}&_sort={sort}"
        listed = [entry["resource"]["id"] for entry in httpx.get(url).raise_for_status().json()["entry"]]
        assert listed == [ids[n] for n in order]


def test_they_are_declared_with_their_urls(base_url: str) -> None:
    rest = httpx.get(f"{base_url}/metadata").json()["rest"][0]
    declared = {
        f"{one['type']}-{parameter['name']}": parameter.get("definition")
        for one in rest["resource"]
        for parameter in one["searchParam"]
    }
    assert {name: declared[name] for name in CASES} == {name: f"{BASE}/SearchParameter/{name}" for name in CASES}


def stored(base_url: str, resource: Json) -> str:
    answer = httpx.post(f"{base_url}/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_the_files_name_their_type_and_code(repository: Path) -> None:
    for path in (repository / "profiles").glob("SearchParameter-*.json"):
        resource = json.loads(path.read_text())
        assert path.name == f"SearchParameter-{resource['base'][0]}-{resource['code']}.json"
