"""ServiceRequest $triage: what each outcome leads to, in one transaction."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.operations.referrals import BASE, ORTHOPAEDICS, THERAPY, Referrals, of_type

Json = dict[str, Any]
KNEE = f"{BASE}/PlanDefinition/knee-oa-arthroplasty|1.0.0"
IN_TRIAGE = ["submit", "start-triage"]


@pytest.fixture(scope="module")
def referrals(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        yield Referrals(http)


def _triage(referrals: Referrals, request: Json, *parameters: Json) -> httpx.Response:
    body = {"resourceType": "Parameters", "parameter": list(parameters)}
    headers = {"If-Match": f'W/"{request["meta"]["versionId"]}"'}
    return referrals.http.post(f"ServiceRequest/{request['id']}/$triage", json=body, headers=headers)


def _outcome(code: str) -> Json:
    return {"name": "outcome", "valueCode": code}


def _service(reference: str) -> Json:
    return {"name": "service", "valueString": reference}


def _pathway(canonical: str = KNEE) -> Json:
    return {"name": "pathway", "valueCanonical": canonical}


def test_accepted_for_two_services_with_a_plan(referrals: Referrals) -> None:
    """One referral, two services, one plan and one clock."""
    request = referrals.at(IN_TRIAGE)
    answer = _triage(referrals, request, _outcome("accept"), _service(ORTHOPAEDICS), _service(THERAPY), _pathway())
    assert answer.status_code == 200, answer.text
    master, *children = [one for one in of_type(answer, "ServiceRequest") if one.get("intent") == "order"]
    assert master["id"] == request["id"]
    children = [one for one in children if one.get("basedOn") == [{"reference": f"ServiceRequest/{master['id']}"}]]
    assert [one["performer"] for one in children] == [[{"reference": ORTHOPAEDICS}], [{"reference": THERAPY}]]
    assert all(one["priority"] == "urgent" and one["subject"] == master["subject"] for one in children)
    system = f"{BASE}/CodeSystem/msk-request-category"
    assert [one["category"] for one in children] == [[{"coding": [{"system": system, "code": "service"}]}]] * 2
    (plan,) = of_type(answer, "CarePlan")
    assert plan["instantiatesCanonical"] == [KNEE]
    assert {"reference": f"ServiceRequest/{master['id']}"} in plan["supportingInfo"]
    days = {
        part["extension"][0]["valueCode"]: part["extension"][1]["valueDate"]
        for part in plan["extension"]
        if part["url"].endswith("msk-anchor-date")
    }
    assert set(days) == {"received", "accepted"}
    steps = {activity["reference"]["reference"] for activity in plan["activity"]}
    answered = {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in answer.json()["entry"]}
    assert steps <= answered
    (task,) = [one for one in of_type(answer, "Task") if "businessStatus" in one]
    assert [one["valueReference"]["reference"] for one in task["output"]] == [
        f"ServiceRequest/{one['id']}" for one in children
    ]
    (why,) = of_type(answer, "Provenance")
    assert len(why["target"]) == len(answer.json()["entry"]) - 1


@pytest.mark.parametrize(
    ("parameters", "place", "code"),
    [
        ([_outcome("accept")], "service", "required"),
        ([_outcome("maybe"), _service(ORTHOPAEDICS)], "outcome", "code-invalid"),
        ([_outcome("accept"), _service("Patient/1")], "service", "value"),
        ([_outcome("accept"), _service("HealthcareService/none")], "service", "not-found"),
        ([_outcome("accept"), _service(THERAPY), _service(THERAPY)], "service", "value"),
        ([_outcome("advice")], "reason", "required"),
        ([_outcome("reject"), _pathway(), {"name": "reason", "valueString": "x"}], "pathway", "business-rule"),
        (
            [_outcome("accept"), _service(THERAPY), _pathway(f"{BASE}/PlanDefinition/none|1.0.0")],
            "pathway",
            "not-found",
        ),
        ([_outcome("accept"), _service(THERAPY), _pathway(KNEE.partition("|")[0])], "pathway", "value"),
        ([_outcome("accept"), _service(THERAPY), _pathway(KNEE.replace("1.0.0", "9"))], "pathway", "not-found"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    referrals: Referrals, parameters: list[Json], place: str, code: str
) -> None:
    request = referrals.at(IN_TRIAGE)
    answer = _triage(referrals, request, *parameters)
    assert answer.status_code == 422, answer.text
    issue = answer.json()["issue"][0]
    assert (issue["code"], issue["expression"]) == (code, [f"Parameters.parameter.where(name='{place}').value"])
    now, task, _ = referrals.whole(request)
    assert now["meta"]["versionId"] == request["meta"]["versionId"]
    assert task is not None
    assert task["status"] == "in-progress"
    children = referrals.http.get("ServiceRequest", params={"based-on": f"ServiceRequest/{request['id']}"}).json()
    assert "entry" not in children


def test_without_an_outcome_it_is_a_400(referrals: Referrals) -> None:
    assert _triage(referrals, referrals.at(IN_TRIAGE), _service(THERAPY)).status_code == 400


def test_redirected_within_the_provider_the_clock_runs_on(referrals: Referrals) -> None:
    request = referrals.at([*IN_TRIAGE, "accept"])
    answer = _triage(referrals, request, _outcome("redirect"), _service(THERAPY))
    assert answer.status_code == 200, answer.text
    based_on = {"based-on": f"ServiceRequest/{request['id']}"}
    children = [one["resource"] for one in referrals.http.get("ServiceRequest", params=based_on).json()["entry"]]
    active = [one for one in children if one["status"] == "active"]
    revoked = [one for one in children if one["status"] == "revoked"]
    assert (len(active), len(revoked)) == (1, 2)
    assert {one["reference"] for one in active[0]["replaces"]} == {f"ServiceRequest/{one['id']}" for one in revoked}
    _, _, episode = referrals.whole(request)
    assert episode is not None
    clock = referrals.http.get(f"EpisodeOfCare/{episode['id']}/$rtt-clock").json()["parameter"]
    assert [one["valueBoolean"] for one in clock if one["name"] == "running"] == [True]
    assert len([one for one in clock if one["name"] == "clock"]) == 1


def test_the_service_it_was_redirected_to_accepts_it(referrals: Referrals) -> None:
    request = referrals.at(IN_TRIAGE)
    request = _triage(referrals, request, _outcome("redirect"), _service(THERAPY)).json()["entry"][0]["resource"]
    answer = _triage(referrals, request, _outcome("accept"), _service(THERAPY))
    assert answer.status_code == 200, answer.text
    based_on = {"based-on": f"ServiceRequest/{request['id']}"}
    children = [one["resource"] for one in referrals.http.get("ServiceRequest", params=based_on).json()["entry"]]
    assert [(one["status"], one["performer"]) for one in children] == [("active", [{"reference": THERAPY}])]


def test_redirected_to_another_provider_it_is_over_here(referrals: Referrals) -> None:
    request = referrals.at(IN_TRIAGE)
    answer = _triage(referrals, request, _outcome("redirect"), {"name": "reason", "valueString": "a hand service"})
    assert answer.status_code == 200, answer.text
    (master,) = of_type(answer, "ServiceRequest")
    assert master["status"] == "revoked"
    assert referrals.move(master, "accept").status_code == 422


def test_a_withdrawn_referral_takes_its_plan_along(referrals: Referrals) -> None:
    request = referrals.at(IN_TRIAGE)
    accepted = _triage(referrals, request, _outcome("accept"), _service(THERAPY), _pathway())
    (plan,) = of_type(accepted, "CarePlan")
    request = accepted.json()["entry"][0]["resource"]
    assert referrals.move(request, "withdraw").status_code == 200
    assert referrals.http.get(f"CarePlan/{plan['id']}").json()["status"] == "revoked"
    open_tasks = {"based-on": f"CarePlan/{plan['id']}", "status": "draft,requested,ready,in-progress"}
    assert "entry" not in referrals.http.get("Task", params=open_tasks).json()
