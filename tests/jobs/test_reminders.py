"""Reminders: on day 3, day 7 and the day before the end, once each, and never when there is a reason not to."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.jobs.run import run_jobs
from fhir_server.pathways.reminders import reminder_days, reminder_due, reminder_id
from tests.jobs.conftest import World, step

BASE = "https://fhir.example.org/msk"
LONDON = ZoneInfo("Europe/London")


def consent(category: str, kind: str, day: str, status: str = "active", logical_id: str = "no") -> dict[str, Any]:
    system = f"{BASE}/CodeSystem/msk-consent-category"
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    return {
        "resourceType": "Consent",
        "id": logical_id,
        "status": status,
        "scope": scope,
        "category": [{"coding": [{"system": system, "code": category}]}],
        "patient": {"reference": "Patient/p"},
        "dateTime": day,
        "policyRule": {"text": "test"},
        "provision": {"type": kind},
    }


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        ("2026-03-01", "2026-03-14", ["2026-03-04", "2026-03-08", "2026-03-13"]),
        ("2026-03-01", "2026-03-09", ["2026-03-04", "2026-03-08"]),
        ("2026-03-01", "2026-03-02", []),
        ("2026-03-01", "2026-03-01", []),
        ("2028-02-26", "2028-03-20", ["2028-02-29", "2028-03-04", "2028-03-19"]),
        ("2026-03-26", "2026-04-10", ["2026-03-29", "2026-04-02", "2026-04-09"]),
    ],
)
def test_the_days_of_a_window(first: str, last: str, days: list[str]) -> None:
    assert [day.isoformat() for day in reminder_days(date.fromisoformat(first), date.fromisoformat(last))] == days


@pytest.mark.parametrize(
    ("today", "due"),
    [
        ("2026-03-03", None),
        ("2026-03-04", "2026-03-04"),
        ("2026-03-07", "2026-03-04"),
        ("2026-03-08", "2026-03-08"),
        ("2026-03-11", "2026-03-08"),
        ("2026-03-12", None),
        ("2026-03-14", "2026-03-13"),
        ("2026-03-15", None),
    ],
)
def test_the_last_day_that_has_come_is_due_for_a_few_days(today: str, due: str | None) -> None:
    found = reminder_due(step("s", "ready", "2026-03-01", "2026-03-14"), date.fromisoformat(today), LONDON, BASE)
    assert (found.isoformat() if found else None) == due


@pytest.mark.parametrize("status", ["draft", "completed", "failed", "rejected", "cancelled"])
def test_a_step_that_is_not_to_be_done_has_none(status: str) -> None:
    assert reminder_due(step("s", status, "2026-03-01", "2026-03-14"), date(2026, 3, 4), LONDON, BASE) is None


def test_a_step_of_staff_has_none() -> None:
    task = step("s", "requested", "2026-03-01", "2026-03-14", owner={"reference": "Practitioner/x"})
    assert reminder_due(task, date(2026, 3, 4), LONDON, BASE) is None


async def test_each_day_is_reminded_of_once(world: World) -> None:
    await world.put(step("s", "requested", "2026-03-07", "2026-03-20", description="Oxford Knee Score"))
    for now, made in [
        ("2026-03-09T12:00:00+00:00", 0),
        ("2026-03-10T00:00:00+00:00", 1),
        ("2026-03-10T23:59:00+00:00", 0),
        ("2026-03-11T12:00:00+00:00", 0),
        ("2026-03-14T12:00:00+00:00", 1),
        ("2026-03-19T12:00:00+00:00", 1),
        ("2026-03-20T12:00:00+00:00", 0),
        ("2026-03-10T12:00:00+00:00", 0),  # the clock goes back
    ]:
        world.at(now)
        assert (await run_jobs(world.server)).reminders == made, now
    message = await world.read("Communication", reminder_id("s", date(2026, 3, 10)))
    assert message is not None
    assert (message["status"], message["about"], message["recipient"], message["payload"]) == (
        "preparation",
        [{"reference": "Task/s"}],
        [{"reference": "Patient/p"}],
        [{"contentString": "Oxford Knee Score"}],
    )


async def test_a_reminder_that_the_server_was_down_for_is_made_late_and_an_old_one_never(world: World) -> None:
    await world.put(
        step("late", "requested", "2026-03-05", "2026-03-30"),
        step("old", "requested", "2026-02-27", "2026-03-30"),
    )
    assert (await run_jobs(world.server)).reminders == 1  # of 8 March; 6 March is 4 days ago
    assert await world.read("Communication", reminder_id("late", date(2026, 3, 8))) is not None


@pytest.mark.parametrize(
    ("consents", "made"),
    [
        ([consent("reminders", "deny", "2026-01-01")], 0),
        ([consent("pathway", "deny", "2026-01-01")], 0),
        ([consent("research", "deny", "2026-01-01")], 1),
        ([consent("reminders", "deny", "2026-01-01", status="inactive")], 1),
        (
            [
                consent("reminders", "deny", "2026-01-01"),
                consent("reminders", "permit", "2026-02-01", logical_id="yes"),
            ],
            1,
        ),
        ([consent("reminders", "permit", "2026-01-01"), consent("reminders", "deny", "2026-02-01", logical_id="x")], 0),
    ],
)
async def test_the_last_consent_about_reminders_counts(world: World, consents: list[dict[str, Any]], made: int) -> None:
    await world.put(step("s", "requested", "2026-03-07", "2026-03-20"), *consents)
    assert (await run_jobs(world.server)).reminders == made


@pytest.mark.parametrize("patient", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-03-01"}, {"active": False}])
async def test_the_dead_are_not_reminded(world: World, patient: dict[str, Any]) -> None:
    await world.put(
        {"resourceType": "Patient", "id": "p", **patient}, step("s", "requested", "2026-03-07", "2026-03-20")
    )
    assert (await run_jobs(world.server)).reminders == 0


async def test_a_step_that_is_given_other_days_is_not_reminded_of_a_fourth_time(world: World) -> None:
    """Three are the most of a step, not of a window."""
    days = {"2026-03-01": ["03-04", "03-08"], "2026-03-20": ["03-23", "03-27", "04-01"]}
    made = []
    for first, reminded in days.items():
        last = "2026-03-12" if first == "2026-03-01" else "2026-04-02"
        await world.put(step("s", "requested", first, last))
        for day in reminded:
            world.at(f"2026-{day}T12:00:00+00:00")
            made.append((await run_jobs(world.server)).reminders)
    assert made == [1, 1, 1, 0, 0]
    assert await world.count("Communication") == 3
