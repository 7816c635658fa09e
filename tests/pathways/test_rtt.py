"""The referral to treatment clock: NHS England, RTT consultant-led waiting times, rules suite."""

from __future__ import annotations

from datetime import date

import pytest

from fhir_server.pathways.rtt import Event, account, may_decide, status_after


def _told(*events: tuple[str, str, str]) -> list[Event]:
    return [Event(date.fromisoformat(day), state, status) for day, state, status in events]


RECEIVED = ("2026-01-05", "submitted", "10")


def test_the_clock_starts_when_the_referral_is_received_and_runs() -> None:
    told = account(_told(RECEIVED, ("2026-01-07", "in-triage", "20")))
    assert told.running is not None
    assert told.running.start == date(2026, 1, 5)
    assert told.running.days(date(2026, 2, 2)) == 28


def test_it_stops_with_the_first_treatment() -> None:
    told = account(_told(RECEIVED, ("2026-03-02", "attended", "30"), ("2026-04-01", "booked", "90")))
    assert told.running is None
    assert [(one.start, one.stop, one.stopped_by) for one in told.clocks] == [
        (date(2026, 1, 5), date(2026, 3, 2), "30")
    ]
    assert told.clocks[0].days(date(2026, 12, 31)) == 56


@pytest.mark.parametrize("status", ["30", "31", "32", "33", "34", "35", "36"])
def test_each_stopping_status_stops_it(status: str) -> None:
    assert account(_told(RECEIVED, ("2026-02-01", "attended", status))).running is None


def test_a_transfer_within_the_provider_does_not_restart_it() -> None:
    told = account(
        _told(
            RECEIVED,
            ("2026-01-10", "accepted", "20"),
            ("2026-02-01", "redirected", "20"),
            ("2026-02-03", "accepted", "20"),
        )
    )
    assert [one.start for one in told.clocks] == [date(2026, 1, 5)]


def test_after_active_monitoring_a_new_clock_starts() -> None:
    told = account(_told(RECEIVED, ("2026-02-01", "attended", "32"), ("2026-06-01", "attended", "11")))
    assert [(one.start, one.stop) for one in told.clocks] == [
        (date(2026, 1, 5), date(2026, 2, 1)),
        (date(2026, 6, 1), None),
    ]


def test_a_first_appointment_not_attended_voids_the_clock_and_the_next_booking_starts_one() -> None:
    events = _told(RECEIVED, ("2026-02-01", "booked", "20"))
    assert status_after(events, "dna") == "33"
    events += _told(("2026-02-10", "dna", "33"))
    assert status_after(events, "booked") == "10"
    events += _told(("2026-02-20", "booked", "10"))
    told = account(events)
    assert told.running is not None
    assert told.running.start == date(2026, 2, 20)


def test_a_later_appointment_not_attended_does_not() -> None:
    events = _told(RECEIVED, ("2026-02-01", "attended", "20"), ("2026-03-01", "booked", "20"))
    assert status_after(events, "dna") == "20"


def test_days_the_patient_could_not_come_are_counted_and_do_not_stop_it() -> None:
    """Pauses were abolished in October 2015."""
    events = _told(RECEIVED, ("2026-02-01", "cancelled-patient", "20"), ("2026-02-15", "booked", "20"))
    told = account(events, date(2026, 3, 1))
    assert told.running is not None
    assert told.running.unavailable == 14
    assert told.running.days(date(2026, 3, 1)) == 55


def test_as_of_a_day_later_events_are_left_out() -> None:
    events = _told(RECEIVED, ("2026-03-02", "attended", "30"))
    assert account(events, date(2026, 3, 1)).running is not None
    assert account(events, date(2026, 3, 2)).running is None


def test_an_event_of_each_kind_is_explained() -> None:
    told = account(_told(RECEIVED, ("2026-03-02", "attended", "30")))
    assert [status for _, status, _ in told.lines] == ["10", "30"]
    assert all(text for _, _, text in told.lines)


@pytest.mark.parametrize(
    ("before", "state", "expected"),
    [
        ([], "submitted", "10"),
        ([RECEIVED], "rejected", "34"),
        ([RECEIVED], "withdrawn", "35"),
        ([RECEIVED], "discharged", "34"),
        ([RECEIVED, ("2026-03-02", "attended", "30")], "discharged", "90"),
        ([RECEIVED, ("2026-03-02", "attended", "31")], "booked", "91"),
    ],
)
def test_the_usual_status_of_a_move(before: list[tuple[str, str, str]], state: str, expected: str) -> None:
    assert status_after(_told(*before), state) == expected


def test_treatment_is_decided_where_the_patient_was_seen() -> None:
    assert "30" in may_decide("attended", running=True)
    assert "30" not in may_decide("attended", running=False)
    assert may_decide("in-triage", running=True) == ()
