"""Windows open and close by the day in the server's zone, on both engines, however late or often the job runs."""

from __future__ import annotations

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.jobs import due
from fhir_server.jobs.run import run_jobs
from fhir_server.pathways.windows import moved
from fhir_server.storage.scope import ALL
from tests.jobs.conftest import Json, World, step

BASE = "https://fhir.example.org/msk"
LONDON = ZoneInfo("Europe/London")


async def test_windows_open_on_their_first_day_and_close_after_their_last(world: World) -> None:
    await world.put(
        step("tomorrow", "draft", "2026-03-11", "2026-03-20"),
        step("today", "draft", "2026-03-10", "2026-03-20"),
        step("undated", "draft", None, None, restriction={"repetitions": 1}),
        step("last-day", "requested", "2026-03-01", "2026-03-10"),
        step("over", "requested", "2026-03-01", "2026-03-09"),
        step("over-seen", "ready", "2026-03-01", "2026-03-09"),
        step("over-begun", "in-progress", "2026-03-01", "2026-03-09"),
        step("over-done", "completed", "2026-03-01", "2026-03-09"),
        step("over-staff", "requested", "2026-03-01", "2026-03-09", owner={"reference": "Practitioner/x"}),
        step("no-plan", "requested", "2026-03-01", "2026-03-09", basedOn=[{"reference": "ServiceRequest/x"}]),
    )
    done = await run_jobs(world.server)
    assert (done.opened, done.closed) == (1, 3)
    expected = {
        "tomorrow": "draft",
        "today": "requested",
        "undated": "draft",
        "last-day": "requested",
        "over": "failed",
        "over-seen": "failed",
        "over-begun": "failed",
        "over-done": "completed",
        "over-staff": "requested",
        "no-plan": "requested",
    }
    assert {name: await world.status(name) for name in expected} == expected
    missed = await world.read("Task", "over")
    assert missed is not None
    assert missed["statusReason"]["coding"] == [
        {"system": f"{BASE}/CodeSystem/msk-step-reason", "code": "window-closed"}
    ]


async def test_after_months_of_downtime_all_that_fell_due_is_caught_up_and_a_second_run_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "BATCH", 7)
    await world.put(
        *(step(f"s{n}", "draft", f"2026-04-{n % 28 + 1:02}", f"2026-05-{n % 28 + 1:02}") for n in range(60))
    )
    world.at("2026-05-15T12:00:00+01:00")
    done = await run_jobs(world.server)
    # Windows that end on 1..14 May are over: 14 of each 28, and days 1..4 of the last four.
    assert (done.opened, done.closed) == (60 - 32, 32)
    again = await run_jobs(world.server)
    assert (again.opened, again.closed, again.reminders) == (0, 0, 0)


async def test_two_runs_at_once_move_each_step_once(world: World) -> None:
    await world.put(*(step(f"s{n}", "requested", "2026-02-01", "2026-03-01") for n in range(120)))
    other = Server(world.store, world.server.settings)
    done = await asyncio.gather(run_jobs(world.server), run_jobs(other))
    assert sum(one.closed for one in done) == 120
    for n in range(120):
        version = await world.store.read(ALL, "Task", f"s{n}")
        assert version is not None
        assert version.version_id == 2


async def test_a_step_done_while_the_job_decides_stays_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.put(step("race", "requested", "2026-02-01", "2026-03-01"))
    write = world.store.write

    async def first_the_patient(scope, work):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(world.store, "write", write)
        await world.put(step("race", "completed", "2026-02-01", "2026-03-01"))
        return await write(scope, work)

    monkeypatch.setattr(world.store, "write", first_the_patient)
    assert (await run_jobs(world.server)).closed == 0
    assert await world.status("race") == "completed"


async def test_a_clock_that_goes_back_reopens_nothing(world: World) -> None:
    await world.put(step("s", "requested", "2026-03-01", "2026-03-09"), step("t", "draft", "2026-03-10", "2026-03-30"))
    await run_jobs(world.server)
    world.at("2026-03-05T09:00:00+00:00")
    done = await run_jobs(world.server)
    assert (done.opened, done.closed) == (0, 0)
    assert (await world.status("s"), await world.status("t")) == ("failed", "requested")


@pytest.mark.parametrize(
    ("now", "status"),
    [
        # British Summer Time begins on 29 March 2026 and ends on 25 October 2026.
        ("2026-03-29T22:59:59+00:00", "requested"),
        ("2026-03-29T23:00:00+00:00", "failed"),
    ],
)
async def test_on_the_day_summer_time_begins_the_window_closes_at_local_midnight(
    world: World, now: str, status: str
) -> None:
    await world.put(step("s", "requested", "2026-03-20", "2026-03-29"))
    world.at(now)
    await run_jobs(world.server)
    assert await world.status("s") == status


@pytest.mark.parametrize(
    ("now", "status"), [("2026-10-25T23:59:59+00:00", "requested"), ("2026-10-26T00:00:00+00:00", "failed")]
)
async def test_on_the_day_summer_time_ends_the_window_closes_at_local_midnight(
    world: World, now: str, status: str
) -> None:
    await world.put(step("s", "requested", "2026-10-01", "2026-10-25"))
    world.at(now)
    await run_jobs(world.server)
    assert await world.status("s") == status


@pytest.mark.parametrize(("now", "status"), [("2028-02-29T23:30:00+00:00", "requested"), ("2028-03-01", "failed")])
def test_a_leap_day_is_a_day_of_the_window(now: str, status: str) -> None:
    moment = datetime.fromisoformat(now)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=LONDON)
    task = step("s", "requested", "2028-02-01", "2028-02-29")
    changed = moved(task, moment, LONDON, BASE)
    assert (changed or task)["status"] == status


async def test_without_the_search_parameters_jobs_say_what_to_do(server: Server) -> None:
    with pytest.raises(BusinessRule, match="start the server with its content"):
        await run_jobs(server)


async def test_what_is_due_is_found_in_the_order_of_its_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "BATCH", 2)
    days = ["2026-03-05", "2026-03-01", "2026-03-04", "2026-03-02", "2026-03-03"]
    await world.put(*(step(f"s{day[-1]}", "requested", "2026-02-01", day) for day in days))
    today = world.server.clock.today()
    found = [
        [one.version.logical_id for one in batch]
        async for batch in due.due_steps(world.server, "Task", "closes", today)
    ]
    assert found == [["s1", "s2"], ["s3", "s4"], ["s5"]]


async def test_a_plan_ends_with_its_last_missed_step_and_goes_on_while_one_is_open(world: World) -> None:
    def plan(logical_id: str, *steps: str) -> Json:
        activity = [{"reference": {"reference": f"Task/{name}"}} for name in steps]
        subject = {"reference": "Patient/p"}
        return {
            "resourceType": "CarePlan",
            "id": logical_id,
            "status": "active",
            "intent": "plan",
            "subject": subject,
            "activity": activity,
        }

    def of(name: str) -> list[Json]:
        return [{"reference": f"CarePlan/{name}"}]

    await world.put(
        plan("ends", "done", "missed"),
        plan("goes-on", "missed-too", "later"),
        step("done", "completed", "2026-03-01", "2026-03-05", basedOn=of("ends")),
        step("missed", "requested", "2026-03-01", "2026-03-09", basedOn=of("ends")),
        step("missed-too", "requested", "2026-03-01", "2026-03-09", basedOn=of("goes-on")),
        step("later", "draft", "2026-09-01", "2026-09-09", basedOn=of("goes-on")),
    )
    assert (await run_jobs(world.server)).closed == 2
    ended, going_on = await world.read("CarePlan", "ends"), await world.read("CarePlan", "goes-on")
    assert ended is not None
    assert going_on is not None
    assert (ended["status"], going_on["status"]) == ("completed", "active")
    await run_jobs(world.server)
    again = await world.read("CarePlan", "ends")
    assert again == ended


async def test_what_a_plan_asks_of_others_begins_with_its_window(world: World) -> None:
    def request(logical_id: str, start: str, status: str = "draft", of: str = "CarePlan/c") -> Json:
        return {
            "resourceType": "ServiceRequest",
            "id": logical_id,
            "basedOn": [{"reference": of}],
            "status": status,
            "intent": "plan",
            "subject": {"reference": "Patient/p"},
            "occurrencePeriod": {"start": start, "end": "2026-06-01"},
        }

    await world.put(
        request("today", "2026-03-10"),
        request("tomorrow", "2026-03-11"),
        request("revoked", "2026-03-01", "revoked"),
        request("no-plan", "2026-03-01", of="ServiceRequest/other"),
    )
    assert (await run_jobs(world.server)).opened == 1
    found = [await world.read("ServiceRequest", name) for name in ("today", "tomorrow", "revoked", "no-plan")]
    assert [one and one["status"] for one in found] == ["active", "draft", "revoked", "draft"]
