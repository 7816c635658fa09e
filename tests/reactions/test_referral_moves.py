"""The state of a referral is not changed past its operations, whatever way a client writes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.operations.referrals import Referrals


@pytest.fixture(scope="module")
def referrals(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        yield Referrals(http)


def _put(referrals: Referrals, resource: dict[str, Any]) -> httpx.Response:
    return referrals.http.put(f"{resource['resourceType']}/{resource['id']}", json=resource)


def test_the_status_of_the_request_is_held(referrals: Referrals) -> None:
    request = referrals.at(["submit"])
    answer = _put(referrals, request | {"status": "completed"})
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["code"] == "business-rule"
    assert answer.json()["issue"][0]["expression"] == ["ServiceRequest.status"]


def test_a_patch_is_held_too(referrals: Referrals) -> None:
    request = referrals.at(["submit"])
    patch = [{"op": "replace", "path": "/status", "value": "revoked"}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = referrals.http.request("PATCH", f"ServiceRequest/{request['id']}", json=patch, headers=headers)
    assert answer.status_code == 422


def test_the_mirrored_state_is_held(referrals: Referrals) -> None:
    request = referrals.at(["submit"])
    stripped = {key: value for key, value in request.items() if key != "extension"}
    answer = _put(referrals, stripped)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["ServiceRequest.extension"]


def test_the_state_in_the_task_is_held(referrals: Referrals) -> None:
    _, task, _ = referrals.whole(referrals.at(["submit"]))
    assert task is not None
    moved = task | {"businessStatus": {"coding": [task["businessStatus"]["coding"][0] | {"code": "accepted"}]}}
    answer = _put(referrals, moved)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Task.businessStatus"]


def test_everything_else_stays_free(referrals: Referrals) -> None:
    request = referrals.at(["submit"])
    assert _put(referrals, request | {"note": [{"text": "rang the patient"}]}).status_code == 200
    _, task, _ = referrals.whole(request)
    assert task is not None
    assert _put(referrals, task | {"owner": {"display": "the triage team"}}).status_code == 200


def test_a_request_that_is_no_referral_stays_free(referrals: Referrals) -> None:
    assert _put(referrals, referrals.stored_draft() | {"status": "active"}).status_code == 200


@pytest.mark.parametrize("element", ["status", "extension", "referralRequest", "patient"])
def test_the_clock_is_held(referrals: Referrals, element: str) -> None:
    request = referrals.at(["submit"])
    _, _, episode = referrals.whole(request)
    assert episode is not None
    other = {"reference": referrals.patient()}
    changes: dict[str, Any] = {
        "status": "finished",
        "extension": [],
        "referralRequest": [],
        "patient": other,
    }
    answer = _put(referrals, {key: value for key, value in (episode | {element: changes[element]}).items() if value})
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == [f"EpisodeOfCare.{element}"]
    assert referrals.move(request, "start-triage").status_code == 200


def test_the_team_of_an_episode_is_free(referrals: Referrals) -> None:
    _, _, episode = referrals.whole(referrals.at(["submit"]))
    assert episode is not None
    assert _put(referrals, episode | {"team": [{"display": "the knee team"}]}).status_code == 200


@pytest.mark.parametrize(("number", "place"), [(1, "Task.focus"), (2, "EpisodeOfCare.referralRequest")])
def test_a_second_task_or_episode_is_refused(referrals: Referrals, number: int, place: str) -> None:
    """With two of them the referral could not be moved any more."""
    request = referrals.at(["submit"])
    first = referrals.whole(request)[number]
    assert first is not None
    second = {key: value for key, value in first.items() if key not in ("id", "meta")}
    answer = referrals.http.post(second["resourceType"], json=second)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == [place]
    assert referrals.move(request, "start-triage").status_code == 200


def test_an_episode_of_other_care_is_free(referrals: Referrals) -> None:
    plain = referrals.stored_draft() | {"status": "active"}
    _put(referrals, plain)
    name = {"reference": f"ServiceRequest/{plain['id']}"}
    episode = {"resourceType": "EpisodeOfCare", "status": "active", "patient": plain["subject"]}
    for _ in range(2):
        answer = referrals.http.post("EpisodeOfCare", json=episode | {"referralRequest": [name]})
        assert answer.status_code == 201, answer.text
