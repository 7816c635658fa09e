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


def test_of_a_two_week_wait_a_first_appointment_not_attended_leaves_the_clock_running() -> None:
    """NHS Data Dictionary, class REFERRAL TO TREATMENT PERIOD: 33 is for routine and urgent requests."""
    events = _told(RECEIVED, ("2026-01-08", "booked", "20"))
    assert status_after(events, "dna", two_week_wait=True) == "20"
    assert account([*events, *_told(("2026-01-14", "dna", "20"))]).running is not None


def test_a_provider_may_let_the_clock_run_when_the_first_appointment_was_not_made_known() -> None:
    """Rules suite: a missed first appointment voids the clock where it was clearly communicated to the patient."""
    assert may_decide("dna", running=True, first=True) == ("20", "33")
    assert may_decide("dna", running=True, first=False) == ()


def test_who_leaves_after_treatment_keeps_the_reason_the_clock_stopped_for() -> None:
    """35 and 36 are of patients who were not treated; 90 and 91 of those whose clock has stopped."""
    events = _told(RECEIVED, ("2026-03-02", "attended", "30"))
    assert may_decide("withdrawn", running=False) == ("90", "91")
    assert status_after(events, "withdrawn") == "90"


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [("2026-03-28", "2026-03-30", 2), ("2026-10-24", "2026-10-26", 2), ("2028-02-28", "2028-03-01", 2)],
    ids=["spring forward", "fall back", "leap day"],
)
def test_days_are_counted_by_the_calendar(first: str, last: str, days: int) -> None:
    (clock,) = account(_told((first, "submitted", "10"))).clocks
    assert clock.days(date.fromisoformat(last)) == days


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
