"""Every state of a referral, every move out of it and every move that is illegal, over HTTP.

The table is in tests/cases/referral/states.json, written from the service's state table and not from the code.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.operations.referrals import BASE, Referrals, extension, of_type, parts

CASES = json.loads((Path(__file__).parents[1] / "cases/referral/states.json").read_text())
STATES, WAYS, LEADS_TO = CASES["states"], CASES["ways"], CASES["leads_to"]


def _is_legal(state: str, move: str) -> bool:
    if LEADS_TO[move] not in STATES[state]["next"]:
        return False
    return (move == "reopen") == (state == "discharged") if LEADS_TO[move] == "accepted" else True


@pytest.fixture(scope="module")
def referrals(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        yield Referrals(http)


@pytest.mark.parametrize("state", STATES)
def test_the_three_resources_say_the_state(referrals: Referrals, state: str) -> None:
    request, task, episode = referrals.whole(referrals.at(WAYS[state]))
    expected = STATES[state]
    assert request["status"] == expected["request"]
    assert (task and task["status"]) == expected["task"]
    assert (episode and episode["status"]) == expected["episode"]
    if task is not None and episode is not None:
        assert task["businessStatus"]["coding"][0]["code"] == state
        assert extension(request, "msk-referral-state")["valueCode"] == state
        assert parts(extension(episode, "msk-rtt"))["status"] == expected["rtt"]
        assert ("end" in episode["period"]) == (expected["episode"] in ("finished", "cancelled"))
        assert [one["status"] for one in episode["statusHistory"]][-1] == expected["episode"]
        assert all("end" in one["period"] for one in episode["statusHistory"][:-1])


@pytest.mark.parametrize("state", STATES)
def test_illegal_moves_are_refused_naming_the_legal_ones(referrals: Referrals, state: str) -> None:
    request = referrals.at(WAYS[state])
    for move in LEADS_TO:
        if _is_legal(state, move):
            continue
        answer = referrals.move(request, move)
        assert answer.status_code == 422, (state, move, answer.text)
        issue = answer.json()["issue"][0]
        assert issue["code"] == "business-rule"
    now = referrals.http.get(f"ServiceRequest/{request['id']}").json()
    assert now["meta"]["versionId"] == request["meta"]["versionId"]


@pytest.mark.parametrize("state", [state for state in STATES if STATES[state]["next"]])
def test_each_legal_move_leads_where_the_table_says(referrals: Referrals, state: str) -> None:
    for move in LEADS_TO:
        if _is_legal(state, move):
            request = referrals.at(WAYS[state])
            answer = referrals.move(request, move)
            assert answer.status_code == 200, (state, move, answer.text)
            now, task, _ = referrals.whole(request)
            assert answer.headers["ETag"] == f'W/"{now["meta"]["versionId"]}"'
            if task is not None:
                assert task["businessStatus"]["coding"][0]["code"] == LEADS_TO[move]


def test_an_illegal_move_says_what_is_legal(referrals: Referrals) -> None:
    answer = referrals.move(referrals.at(["submit"]), "book")
    assert "$start-triage, $withdraw" in answer.json()["issue"][0]["diagnostics"]


def test_a_move_without_if_match_is_a_400(referrals: Referrals) -> None:
    answer = referrals.move(referrals.at(["submit"]), "start-triage", etag=None)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "required"


def test_a_move_with_a_stale_etag_is_a_412(referrals: Referrals) -> None:
    """R4 http.html#concurrency."""
    request = referrals.at(["submit"])
    assert referrals.move(request, "start-triage").status_code == 200
    assert referrals.move(request, "start-triage").status_code == 412


def test_of_many_at_once_one_decides(referrals: Referrals) -> None:
    request = referrals.at(["submit", "start-triage"])
    with ThreadPoolExecutor(12) as pool:
        statuses = sorted(pool.map(lambda move: referrals.move(request, move).status_code, ["accept", "reject"] * 6))
    assert statuses == [200] + [412] * 11
    _, task, _ = referrals.whole(request)
    assert task is not None
    assert len(referrals.http.get(f"Task/{task['id']}/_history").json()["entry"]) == 3


def test_every_move_has_its_provenance(referrals: Referrals) -> None:
    request = referrals.at(["submit"])
    answer = referrals.move(request, "start-triage", performer="Practitioner/triage-1", reason="in the queue")
    (why,) = of_type(answer, "Provenance")
    now = referrals.http.get(f"ServiceRequest/{request['id']}").json()
    targets = [target["reference"] for target in why["target"]]
    assert f"ServiceRequest/{request['id']}/_history/{now['meta']['versionId']}" in targets
    assert {target.partition("/")[0] for target in targets} == {"ServiceRequest", "Task", "EpisodeOfCare"}
    assert why["agent"][0]["who"] == {"reference": "Practitioner/triage-1"}
    assert why["reason"] == [{"text": "in the queue"}]
    assert why["activity"]["coding"][0]["code"] == "in-triage"
    assert referrals.http.get(f"Provenance/{why['id']}").json()["target"] == why["target"]


def test_an_unknown_kind_of_performer_is_refused(referrals: Referrals) -> None:
    answer = referrals.move(referrals.at(["submit"]), "start-triage", performer="Device/1")
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Parameters.parameter.where(name='performer').value"]


def test_a_request_that_is_no_referral_is_refused(referrals: Referrals) -> None:
    plain = referrals.stored_draft() | {"status": "active"}
    stored = referrals.http.put(f"ServiceRequest/{plain['id']}", json=plain).json()
    answer = referrals.move(stored, "start-triage")
    assert answer.status_code == 422
    assert "$submit" in answer.json()["issue"][0]["diagnostics"]


def test_booking_names_the_referral_in_the_appointment(referrals: Referrals) -> None:
    request = referrals.at(WAYS["booked"])
    found = referrals.http.get("Appointment", params={"based-on": f"ServiceRequest/{request['id']}"}).json()
    assert len(found["entry"]) == 1


def test_an_appointment_that_is_not_agreed_is_refused(referrals: Referrals) -> None:
    request = referrals.at(WAYS["accepted"])
    proposed = referrals.appointment(request["subject"]["reference"], "proposed")
    body = {"resourceType": "Parameters", "parameter": [{"name": "appointment", "valueString": proposed}]}
    headers = {"If-Match": f'W/"{request["meta"]["versionId"]}"'}
    answer = referrals.http.post(f"ServiceRequest/{request['id']}/$book", json=body, headers=headers)
    assert answer.status_code == 422
    assert "proposed" in answer.json()["issue"][0]["diagnostics"]


def test_another_patient_s_appointment_is_refused(referrals: Referrals) -> None:
    request = referrals.at(WAYS["accepted"])
    other = referrals.appointment(referrals.patient())
    body = {"resourceType": "Parameters", "parameter": [{"name": "appointment", "valueString": other}]}
    headers = {"If-Match": f'W/"{request["meta"]["versionId"]}"'}
    answer = referrals.http.post(f"ServiceRequest/{request['id']}/$book", json=body, headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("attended", "fulfilled"),
        ("dna", "noshow"),
        ("cancelled-patient", "cancelled"),
        ("cancelled-provider", "cancelled"),
    ],
)
def test_the_appointment_follows(referrals: Referrals, outcome: str, status: str) -> None:
    request = referrals.at(WAYS["booked"])
    found = referrals.http.get("Appointment", params={"based-on": f"ServiceRequest/{request['id']}"}).json()
    name = f"Appointment/{found['entry'][0]['resource']['id']}"
    assert referrals.move(request, outcome, appointment=name).status_code == 200
    assert referrals.http.get(name).json()["status"] == status


def _appointment_of(referrals: Referrals, request: dict[str, Any]) -> dict[str, Any]:
    found = referrals.http.get("Appointment", params={"based-on": f"ServiceRequest/{request['id']}"}).json()
    (entry,) = found["entry"]
    return dict(entry["resource"])


def _events(referrals: Referrals, request: dict[str, Any]) -> list[tuple[str, str]]:
    """(state, day) of what happened to the referral, as its episode tells."""
    _, _, episode = referrals.whole(request)
    assert episode is not None
    url = f"{BASE}/StructureDefinition/msk-rtt-event"
    told = [parts(one) for one in episode["extension"] if one["url"] == url]
    return [(one["state"], one["date"]) for one in told]


def test_what_became_of_an_appointment_counts_on_its_day(referrals: Referrals) -> None:
    """NHS England, RTT rules suite: the clock stops on the day of treatment, not on that of its recording."""
    received = {"url": f"{BASE}/StructureDefinition/msk-received", "valueDateTime": "2026-01-05"}
    request = referrals.at(["submit"], extension=[received])
    assert _events(referrals, request) == [("submitted", "2026-01-05")]
    patient = referrals.patient()
    dead = referrals.http.get(patient).json() | {"deceasedDateTime": "2026-02-03T10:00:00Z"}
    request = referrals.at(["submit"], patient=patient, extension=[received])
    assert referrals.http.put(patient, json=dead).status_code == 200
    assert _events(referrals, request) == [("submitted", "2026-01-05"), ("withdrawn", "2026-02-03")]


def test_it_was_not_received_before_the_patient_was_born(referrals: Referrals) -> None:
    received = {"url": f"{BASE}/StructureDefinition/msk-received", "valueDateTime": "1961-02-02"}
    answer = referrals.move(referrals.stored_draft(extension=[received]), "submit")
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["ServiceRequest.extension"])


@pytest.mark.parametrize(("name", "reason"), [("withdraw", "plan-ended"), ("death", "died")])
def test_what_was_arranged_for_a_referral_that_ends_is_called_off(referrals: Referrals, name: str, reason: str) -> None:
    """With its slot, whether a plan names it or not."""
    request = referrals.at(WAYS["booked"])
    slot = referrals.slot()
    booked = _appointment_of(referrals, request) | {
        "start": slot["start"], "end": slot["end"], "slot": [{"reference": f"Slot/{slot['id']}"}],
    }  # fmt: skip
    assert referrals.http.put(f"Appointment/{booked['id']}", json=booked).status_code == 200
    assert referrals.http.get(f"Slot/{slot['id']}").json()["status"] == "busy"
    if name == "death":
        patient = request["subject"]["reference"]
        dead = referrals.http.get(patient).json() | {"deceasedBoolean": True}
        assert referrals.http.put(patient, json=dead).status_code == 200
    else:
        assert referrals.move(request, name).status_code == 200
    after = _appointment_of(referrals, request)
    assert (after["status"], after["cancelationReason"]["coding"][0]["code"]) == ("cancelled", reason)
    assert referrals.http.get(f"Slot/{slot['id']}").json()["status"] == "free"


CANCELLATION = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        ("cancelled", "pat-crs", "cancelled-patient"),
        ("cancelled", "prov", "cancelled-provider"),
        ("cancelled", None, "booked"),
        ("noshow", None, "booked"),
    ],
)
def test_an_appointment_that_ends_by_plain_fhir(
    referrals: Referrals, status: str, code: str | None, state: str
) -> None:
    request = referrals.at(WAYS["booked"])
    ended = _appointment_of(referrals, request) | {"status": status}
    if code is not None:
        ended["cancelationReason"] = {"coding": [{"system": CANCELLATION, "code": code}]}
    answer = referrals.http.put(f"Appointment/{ended['id']}", json=ended, headers={"Prefer": "return=OperationOutcome"})
    assert answer.status_code == 200, answer.text
    now, task, _ = referrals.whole(request)
    assert task is not None
    assert task["businessStatus"]["coding"][0]["code"] == state
    assert now["meta"]["versionId"] != request["meta"]["versionId"] or state == "booked"
    told = [one["diagnostics"] for one in answer.json()["issue"] if f"ServiceRequest/{request['id']}" in str(one)]
    assert len(told) == 1
    assert ("$attend" in told[0]) == (state == "booked")


def test_an_appointment_of_a_broken_referral_is_cancelled_all_the_same(referrals: Referrals) -> None:
    request = referrals.at(WAYS["booked"])
    _, _, episode = referrals.whole(request)
    assert episode is not None
    assert referrals.http.post(f"EpisodeOfCare/{episode['id']}/$purge").status_code == 200
    ended = _appointment_of(referrals, request) | {
        "status": "cancelled",
        "cancelationReason": {"coding": [{"system": CANCELLATION, "code": "pat"}]},
    }
    answer = referrals.http.put(f"Appointment/{ended['id']}", json=ended, headers={"Prefer": "return=OperationOutcome"})
    assert answer.status_code == 200, answer.text
    (warning,) = [one for one in answer.json()["issue"] if one["severity"] == "warning"]
    assert f"ServiceRequest/{request['id']} could not become cancelled-patient" in warning["diagnostics"]


@pytest.mark.parametrize("kind", ["ServiceRequest", "Task", "EpisodeOfCare"])
def test_a_referral_under_way_is_not_deleted_in_part(referrals: Referrals, kind: str) -> None:
    request = referrals.at(WAYS["accepted"])
    (resource,) = [one for one in referrals.whole(request) if one is not None and one["resourceType"] == kind]
    answer = referrals.http.delete(f"{kind}/{resource['id']}")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (409, "business-rule")
    assert referrals.http.get(f"{kind}/{resource['id']}").status_code == 200


def test_withdrawal_ends_the_services_requests(referrals: Referrals) -> None:
    request = referrals.at(WAYS["accepted"])
    assert referrals.move(request, "withdraw", rtt="35").status_code == 200
    found = referrals.http.get("ServiceRequest", params={"based-on": f"ServiceRequest/{request['id']}"}).json()
    assert [entry["resource"]["status"] for entry in found["entry"]] == ["revoked", "revoked"]


@pytest.mark.parametrize(("move", "way", "rtt"), [("attended", "booked", "11"), ("withdraw", "accepted", "30")])
def test_an_rtt_status_that_does_not_go_with_the_move_is_refused(
    referrals: Referrals, move: str, way: str, rtt: str
) -> None:
    answer = referrals.move(referrals.at(WAYS[way]), move, rtt=rtt)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Parameters.parameter.where(name='rtt').value"]


def test_the_code_system_holds_exactly_the_states(referrals: Referrals) -> None:
    found = referrals.http.get("CodeSystem", params={"url": f"{BASE}/CodeSystem/msk-referral-state"}).json()
    (system,) = [entry["resource"] for entry in found["entry"]]
    assert {concept["code"] for concept in system["concept"]} == set(STATES)


def _rtt(referrals: Referrals, request: dict[str, Any]) -> str:
    _, _, episode = referrals.whole(request)
    assert episode is not None
    return str(parts(extension(episode, "msk-rtt"))["status"])


@pytest.mark.parametrize(("priority", "rtt"), [("routine", "33"), ("urgent", "33"), ("asap", "20")])
def test_a_missed_first_appointment_voids_the_clock_but_of_a_two_week_wait(
    referrals: Referrals, priority: str, rtt: str
) -> None:
    """NHS Data Dictionary, class REFERRAL TO TREATMENT PERIOD; asap is e-RS's TWO_WEEK_WAIT."""
    assert _rtt(referrals, referrals.at(WAYS["dna"], priority=priority)) == rtt


def test_a_missed_first_appointment_that_was_not_made_known_leaves_the_clock_running(referrals: Referrals) -> None:
    request = referrals.at(WAYS["booked"])
    assert referrals.move(request, "dna", rtt="20").status_code == 200
    assert _rtt(referrals, request) == "20"


@pytest.mark.parametrize(("treated", "rtt", "stopped_by"), [(False, "36", "36"), (True, "90", "30")])
def test_death_withdraws_and_is_the_reason_only_where_the_clock_ran(
    referrals: Referrals, treated: bool, rtt: str, stopped_by: str
) -> None:
    """36: the patient died before treatment."""
    request = referrals.at(WAYS["booked"])
    if treated:
        assert referrals.move(request, "attended", rtt="30").status_code == 200
    name = request["subject"]["reference"]
    patient = referrals.http.get(name).json() | {"deceasedBoolean": True}
    assert referrals.http.put(name, json=patient).status_code == 200
    now, task, episode = referrals.whole(request)
    assert task is not None
    assert episode is not None
    assert (now["status"], task["businessStatus"]["coding"][0]["code"]) == ("revoked", "withdrawn")
    assert _rtt(referrals, request) == rtt
    clock = referrals.http.get(f"EpisodeOfCare/{episode['id']}/$rtt-clock").json()["parameter"]
    (told,) = [one["part"] for one in clock if one["name"] == "clock"]
    assert [one["valueCode"] for one in told if one["name"] == "stoppedBy"] == [stopped_by]


def test_a_death_is_recorded_whatever_became_of_the_episode(referrals: Referrals) -> None:
    patient = referrals.patient()
    request = referrals.at(["submit"], patient=patient)
    _, _, episode = referrals.whole(request)
    assert episode is not None
    assert referrals.http.delete(f"EpisodeOfCare/{episode['id']}").status_code == 409
    assert referrals.http.post(f"EpisodeOfCare/{episode['id']}/$purge").status_code == 200
    dead = {"resourceType": "Patient", "id": patient.partition("/")[2], "deceasedBoolean": True}
    answer = referrals.http.put(patient, json=dead, headers={"Prefer": "return=OperationOutcome"})
    assert answer.status_code == 200
    (warning,) = [one for one in answer.json()["issue"] if one["severity"] == "warning"]
    assert f"ServiceRequest/{request['id']} could not be withdrawn" in warning["diagnostics"]


def test_a_history_of_statuses_without_days_holds_up_no_move(referrals: Referrals) -> None:
    request = referrals.at(["submit"])
    _, _, episode = referrals.whole(request)
    assert episode is not None
    history = [{"status": "waitlist", "period": {"end": "2025-01-01"}}, *episode["statusHistory"]]
    changed = referrals.http.put(f"EpisodeOfCare/{episode['id']}", json=episode | {"statusHistory": history})
    if changed.status_code == 200:  # it may be held, too
        assert referrals.move(request, "withdraw").status_code == 200


def test_a_year_is_no_day_to_explain_the_clock_of(referrals: Referrals) -> None:
    _, _, episode = referrals.whole(referrals.at(["submit"]))
    assert episode is not None
    answer = referrals.http.get(f"EpisodeOfCare/{episode['id']}/$rtt-clock?asOf=2026")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "value")
