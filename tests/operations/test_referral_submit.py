"""ServiceRequest $submit: what a referral needs, and what it gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.operations.referrals import BASE, Referrals, extension, of_type, parts

Json = dict[str, Any]


@pytest.fixture(scope="module")
def referrals(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        yield Referrals(http)


def _submit(referrals: Referrals, referral: Json | None) -> httpx.Response:
    given = [] if referral is None else [{"name": "referral", "resource": referral}]
    return referrals.http.post("ServiceRequest/$submit", json={"resourceType": "Parameters", "parameter": given})


def test_a_referral_comes_in_whole(referrals: Referrals) -> None:
    draft = referrals.draft(
        extension=[{"url": f"{BASE}/StructureDefinition/msk-received", "valueDateTime": "2026-01-06"}]
    )
    answer = _submit(referrals, draft)
    assert answer.status_code == 201, answer.text
    kinds = [entry["resource"]["resourceType"] for entry in answer.json()["entry"]]
    assert sorted(kinds) == ["EpisodeOfCare", "Provenance", "ServiceRequest", "Task"]
    (request,), (task,), (episode,) = (of_type(answer, kind) for kind in ("ServiceRequest", "Task", "EpisodeOfCare"))
    assert answer.headers["Location"].endswith(f"ServiceRequest/{request['id']}/_history/1")
    assert request["status"] == "active"
    assert request["identifier"] == draft["identifier"]
    assert (task["status"], task["priority"]) == ("requested", "urgent")
    assert task["focus"]["reference"] == f"ServiceRequest/{request['id']}"
    assert task["for"] == draft["subject"]
    assert episode["referralRequest"] == [{"reference": f"ServiceRequest/{request['id']}"}]
    assert parts(extension(episode, "msk-rtt")) == {"start": "2026-01-06", "status": "10", "pausedays": 0}
    found = referrals.http.get(
        "ServiceRequest",
        params={
            "identifier": f"https://fhir.nhs.uk/Id/UBRN|{draft['identifier'][0]['value']}",
            "_revinclude": ["Task:focus", "EpisodeOfCare:incoming-referral"],
        },
    ).json()
    assert sorted(entry["resource"]["resourceType"] for entry in found["entry"]) == [
        "EpisodeOfCare",
        "ServiceRequest",
        "Task",
    ]


def test_everything_that_is_wanting_is_named_at_once(referrals: Referrals) -> None:
    bare = {"resourceType": "ServiceRequest", "status": "draft", "intent": "plan", "subject": {"display": "somebody"}}
    answer = _submit(referrals, bare)
    assert answer.status_code == 422
    places = {issue["expression"][0] for issue in answer.json()["issue"]}
    assert places == {
        "ServiceRequest.intent",
        "ServiceRequest.subject",
        "ServiceRequest.requester",
        "ServiceRequest.reasonCode",
        "ServiceRequest.identifier",
        "ServiceRequest.category",
    }


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"identifier": [{"system": "https://fhir.nhs.uk/Id/UBRN", "value": "1234"}]}, "identifier[0].value"),
        (
            {"requester": {"identifier": {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "a"}}},
            "requester.identifier.value",
        ),
        ({"requisition": {"system": "urn:other", "value": "1"}}, "requisition.system"),
        (
            {"extension": [{"url": f"{BASE}/StructureDefinition/msk-received", "valueDateTime": "2999-01-01"}]},
            "extension",
        ),
        (
            {"extension": [{"url": f"{BASE}/StructureDefinition/msk-received", "valueDateTime": "2026-01"}]},
            "extension",
        ),
        ({"authoredOn": "2999-01-01"}, "authoredOn"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(referrals: Referrals, change: Json, place: str) -> None:
    answer = _submit(referrals, referrals.draft(**change))
    assert answer.status_code == 422
    assert [issue["expression"] for issue in answer.json()["issue"]] == [[f"ServiceRequest.{place}"]]


@pytest.mark.parametrize(
    "more", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-01-01"}, {"active": False}], ids=str
)
def test_nobody_who_has_died_or_was_merged_is_referred(referrals: Referrals, more: Json) -> None:
    answer = _submit(referrals, referrals.draft(referrals.patient(**more)))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["ServiceRequest.subject"]


def test_a_patient_who_is_not_here_is_refused(referrals: Referrals) -> None:
    answer = _submit(referrals, referrals.draft("Patient/nobody"))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "not-found")


def test_the_same_ubrn_comes_in_once(referrals: Referrals) -> None:
    draft = referrals.draft()
    assert _submit(referrals, draft).status_code == 201
    again = _submit(referrals, draft)
    assert (again.status_code, again.json()["issue"][0]["code"]) == (409, "duplicate")


def test_of_many_at_once_with_one_ubrn_one_comes_in(referrals: Referrals) -> None:
    draft = referrals.draft()
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: _submit(referrals, draft).status_code, range(8)))
    assert statuses == [201] + [409] * 7


@pytest.mark.parametrize(
    ("received", "start"),
    [
        ("2025-06-30T22:59:59Z", "2025-06-30"),
        ("2025-06-30T23:00:00Z", "2025-07-01"),
        ("2025-03-29T23:30:00Z", "2025-03-29"),
        ("2025-03-30T23:30:00Z", "2025-03-31"),
        ("2025-10-25T23:30:00Z", "2025-10-26"),
        ("2025-10-26T23:30:00Z", "2025-10-26"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_the_clock_starts_on_the_day_in_the_server_s_zone(referrals: Referrals, received: str, start: str) -> None:
    """British Summer Time began on 30 March 2025 and ended on 26 October 2025, at 01:00 UTC."""
    extension_received = {"url": f"{BASE}/StructureDefinition/msk-received", "valueDateTime": received}
    (episode,) = of_type(_submit(referrals, referrals.draft(extension=[extension_received])), "EpisodeOfCare")
    assert parts(extension(episode, "msk-rtt"))["start"] == start
    assert episode["period"]["start"] == start


def test_after_a_rejection_it_may_come_again(referrals: Referrals) -> None:
    draft = referrals.draft()
    (request,) = of_type(_submit(referrals, draft), "ServiceRequest")
    for move in ("start-triage", "reject"):
        request = referrals.move(request, move).json()["entry"][0]["resource"]
    again = draft | {"replaces": [{"reference": f"ServiceRequest/{request['id']}"}]}
    assert _submit(referrals, again).status_code == 201


def test_without_a_referral_it_is_a_400(referrals: Referrals) -> None:
    answer = _submit(referrals, None)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "required")


def test_an_invalid_referral_is_refused_with_the_element(referrals: Referrals) -> None:
    answer = _submit(referrals, referrals.draft(priority="soon"))
    assert answer.status_code in (400, 422)
    assert answer.json()["issue"][0]["expression"][0].endswith("ServiceRequest.priority")


def test_a_stored_referral_is_submitted_by_itself(referrals: Referrals) -> None:
    stored = referrals.stored_draft()
    assert _submit(referrals, stored).status_code == 422
    assert referrals.move(stored, "submit").status_code == 200
