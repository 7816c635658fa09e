"""Booking takes slots and cancelling frees them; nothing is booked twice (R4 slot.html, appointment.html)."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

Json = dict[str, Any]
START = datetime(2030, 3, 31, 0, 30, tzinfo=UTC)
"""Half an hour before clocks go forward in London."""


class Clinic:
    """A schedule of one server, with slots and patients."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.name = f"c{uuid.uuid4().hex}"
        service = {"resourceType": "HealthcareService", "id": self.name, "active": True}
        schedule = {
            "resourceType": "Schedule",
            "id": self.name,
            "actor": [{"reference": f"HealthcareService/{self.name}"}],
        }
        for resource in (service, schedule):
            self.http.put(f"{resource['resourceType']}/{self.name}", json=resource).raise_for_status()

    def slot(self, start: datetime = START, minutes: int = 30, status: str = "free") -> str:
        slot = {
            "resourceType": "Slot",
            "schedule": {"reference": f"Schedule/{self.name}"},
            "status": status,
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=minutes)).isoformat(),
        }
        answer = self.http.post("Slot", json=slot)
        assert answer.status_code == 201, answer.text
        return f"Slot/{answer.json()['id']}"

    def appointment(self, *slots: str, status: str = "booked", start: datetime = START, minutes: int = 30) -> Json:
        return {
            "resourceType": "Appointment",
            "status": status,
            "slot": [{"reference": slot} for slot in slots],
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=minutes)).isoformat(),
            "participant": [{"actor": {"display": "a patient"}, "status": "accepted"}],
        }

    def post(self, appointment: Json) -> httpx.Response:
        return self.http.post("Appointment", json=appointment)

    def put(self, stored: Json, **change: Any) -> httpx.Response:
        return self.http.put(f"Appointment/{stored['id']}", json=stored | change)

    def status(self, slot: str) -> str:
        return str(self.http.get(slot).json()["status"])


@pytest.fixture(scope="module")
def clinic(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as http:
        yield Clinic(http)


@pytest.mark.parametrize("status", ["pending", "booked"])
def test_booking_takes_the_slot(clinic: Clinic, status: str) -> None:
    slot = clinic.slot()
    assert clinic.post(clinic.appointment(slot, status=status)).status_code == 201
    assert clinic.status(slot) == "busy"


def test_a_proposal_takes_nothing_until_it_is_booked(clinic: Clinic) -> None:
    slot = clinic.slot()
    proposed = clinic.post(clinic.appointment(slot, status="proposed")).json()
    assert clinic.status(slot) == "free"
    assert clinic.put(proposed, status="booked").status_code == 200
    assert clinic.status(slot) == "busy"


def test_a_slot_is_taken_once(clinic: Clinic) -> None:
    slot = clinic.slot()
    assert clinic.post(clinic.appointment(slot)).status_code == 201
    answer = clinic.post(clinic.appointment(slot))
    assert answer.status_code == 409
    issue = answer.json()["issue"][0]
    assert (issue["code"], issue["expression"]) == ("conflict", ["Appointment.slot[0]"])
    assert "Slot?status=free" in issue["diagnostics"]


def test_of_many_who_book_at_once_one_has_it(clinic: Clinic) -> None:
    slot = clinic.slot()
    with ThreadPoolExecutor(24) as pool:
        statuses = sorted(pool.map(lambda _: clinic.post(clinic.appointment(slot)).status_code, range(24)))
    assert statuses == [201] + [409] * 23
    found = clinic.http.get("Appointment", params={"slot": slot}).json()
    assert len(found["entry"]) == 1


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_cancelling_frees_it(clinic: Clinic, status: str) -> None:
    slot = clinic.slot()
    booked = clinic.post(clinic.appointment(slot)).json()
    assert clinic.put(booked, status=status).status_code == 200
    assert clinic.status(slot) == "free"
    assert clinic.post(clinic.appointment(slot)).status_code == 201


@pytest.mark.parametrize("status", ["arrived", "fulfilled", "noshow"])
def test_what_was_used_stays_taken(clinic: Clinic, status: str) -> None:
    slot = clinic.slot()
    booked = clinic.post(clinic.appointment(slot)).json()
    assert clinic.put(booked, status=status).status_code == 200
    assert clinic.status(slot) == "busy"


def test_rebooking_frees_one_and_takes_the_other(clinic: Clinic) -> None:
    slot, later = clinic.slot(), clinic.slot(START + timedelta(days=1))
    booked = clinic.post(clinic.appointment(slot)).json()
    moved = clinic.appointment(later, start=START + timedelta(days=1))
    answer = clinic.put(booked, slot=moved["slot"], start=moved["start"], end=moved["end"])
    assert answer.status_code == 200, answer.text
    assert (clinic.status(slot), clinic.status(later)) == ("free", "busy")


def test_rebooking_to_a_taken_slot_leaves_all_as_it_was(clinic: Clinic) -> None:
    slot, taken = clinic.slot(), clinic.slot()
    clinic.post(clinic.appointment(taken)).raise_for_status()
    booked = clinic.post(clinic.appointment(slot)).json()
    assert clinic.put(booked, slot=[{"reference": taken}]).status_code == 409
    assert clinic.status(slot) == "busy"
    assert clinic.http.get(f"Appointment/{booked['id']}").json()["slot"] == [{"reference": slot}]


@pytest.mark.parametrize("status", ["busy-unavailable", "busy-tentative", "entered-in-error"])
def test_a_slot_that_is_not_offered_is_refused(clinic: Clinic, status: str) -> None:
    assert clinic.post(clinic.appointment(clinic.slot(status=status))).status_code == 409


def test_a_slot_that_is_not_here_is_refused(clinic: Clinic) -> None:
    answer = clinic.post(clinic.appointment("Slot/none"))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "not-found")


def test_a_slot_that_has_begun_is_refused(clinic: Clinic) -> None:
    past = datetime(2020, 1, 6, 9, tzinfo=UTC)
    answer = clinic.post(clinic.appointment(clinic.slot(past), start=past))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["code"] == "business-rule"


@pytest.mark.parametrize(("shift", "minutes"), [(-1, 30), (1, 30), (0, 31)])
def test_an_appointment_outside_its_slot_is_refused(clinic: Clinic, shift: int, minutes: int) -> None:
    slot = clinic.slot()
    appointment = clinic.appointment(slot, start=START + timedelta(minutes=shift), minutes=minutes)
    answer = clinic.post(appointment)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Appointment.start"])
    assert clinic.status(slot) == "free"


def test_two_slots_in_a_row_across_the_change_to_summer_time(clinic: Clinic) -> None:
    one, two = clinic.slot(), clinic.slot(START + timedelta(minutes=30))
    appointment = clinic.appointment(one, two, minutes=60) | {"end": "2030-03-31T02:30:00+01:00"}
    assert clinic.post(appointment).status_code == 201
    assert (clinic.status(one), clinic.status(two)) == ("busy", "busy")


def test_in_a_transaction_a_taken_slot_leaves_nothing(clinic: Clinic) -> None:
    slot = clinic.slot()
    entries = [
        {"resource": clinic.appointment(slot), "request": {"method": "POST", "url": "Appointment"}} for _ in range(2)
    ]
    answer = clinic.http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 409
    assert clinic.status(slot) == "free"


def test_patients_find_what_is_free(clinic: Clinic) -> None:
    free, taken = clinic.slot(datetime(2031, 1, 6, 9, tzinfo=UTC)), clinic.slot(datetime(2031, 1, 6, 10, tzinfo=UTC))
    start = datetime(2031, 1, 6, 10, tzinfo=UTC)
    clinic.post(clinic.appointment(taken, start=start)).raise_for_status()
    parameters = {"schedule.actor": f"HealthcareService/{clinic.name}", "start": "ge2031-01-01", "status": "free"}
    found = clinic.http.get("Slot", params=parameters).json()
    assert [f"Slot/{entry['resource']['id']}" for entry in found["entry"]] == [free]


def test_an_appointment_without_slots_is_no_business_of_slots(clinic: Clinic) -> None:
    assert clinic.post(clinic.appointment() | {"slot": []}).status_code in (400, 422)  # R4 json.html: no empty array
    plain = {key: value for key, value in clinic.appointment().items() if key != "slot"}
    assert clinic.post(plain).status_code == 201


def test_a_patient_who_dies_gives_the_slot_back(clinic: Clinic) -> None:
    slot, patient = clinic.slot(), f"d{uuid.uuid4().hex}"
    clinic.http.put(f"Patient/{patient}", json={"resourceType": "Patient", "id": patient}).raise_for_status()
    step = clinic.appointment(slot) | {
        "supportingInformation": [{"reference": "CarePlan/some"}],
        "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
    }
    booked = clinic.post(step).json()
    dead = {"resourceType": "Patient", "id": patient, "deceasedBoolean": True}
    clinic.http.put(f"Patient/{patient}", json=dead).raise_for_status()
    assert clinic.http.get(f"Appointment/{booked['id']}").json()["status"] == "cancelled"
    assert clinic.status(slot) == "free"


def test_a_slot_that_somebody_has_cannot_be_set_free(clinic: Clinic) -> None:
    slot = clinic.slot()
    booked = clinic.post(clinic.appointment(slot)).json()
    held = clinic.http.get(slot).json()
    answer = clinic.http.put(slot, json=held | {"status": "free"})
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Slot.status"])
    assert clinic.put(booked, status="cancelled").status_code == 200
    assert clinic.status(slot) == "free"
    blocked = clinic.http.get(slot).json() | {"status": "busy-unavailable"}
    assert clinic.http.put(slot, json=blocked).status_code == 200
    assert clinic.http.put(slot, json=blocked | {"status": "free"}).status_code == 200


def test_a_slot_that_is_booked_is_not_deleted(clinic: Clinic) -> None:
    slot = clinic.slot()
    booked = clinic.post(clinic.appointment(slot)).json()
    for path in (slot, f"Appointment/{booked['id']}"):
        refused = clinic.http.delete(path)
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (409, "business-rule")
    assert clinic.put(booked, status="cancelled").status_code == 200
    for path in (f"Appointment/{booked['id']}", slot):
        assert clinic.http.delete(path).status_code == 204
