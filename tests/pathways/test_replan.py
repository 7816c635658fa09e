"""Which day a step was done, by hand. No store."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.pathways.expressions import Judge
from fhir_server.pathways.replan import Moment, day_of, replan
from tests.pathways.test_resolve import BASE, action, pathway

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 6, 10, 12, 0, tzinfo=LONDON)
TASK: dict[str, Any] = {
    "resourceType": "Task",
    "id": "t",
    "meta": {"lastUpdated": "2026-06-09T08:00:00Z"},
    "intent": "plan",
    "status": "draft",
}


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-06-06T23:30:00Z", date(2026, 6, 7)),
        ("2026-01-06T23:30:00Z", date(2026, 1, 6)),
        ("2026-10-25T00:30:00+01:00", date(2026, 10, 25)),
        ("2026-06-06", date(2026, 6, 6)),
        ("2026-06", None),
        ("2026-06-06T23:59:60Z", None),
    ],
)
def test_the_day_of_a_moment_is_that_of_the_zone(text: str, day: date | None) -> None:
    """In summer London is an hour ahead of UTC; R4 allows a leap second, which is no moment here."""
    assert day_of(text, LONDON) == day


@pytest.mark.parametrize(
    ("done", "day"),
    [
        ({"executionPeriod": {"end": "2026-06-06T23:30:00Z"}}, "2026-06-08"),
        ({"executionPeriod": {"end": "2026-06"}, "lastModified": "2026-06-05T10:00:00Z"}, "2026-06-06"),
        ({"executionPeriod": {"end": "2026-06"}}, "2026-06-10"),
    ],
)
def test_a_step_is_counted_from_the_day_the_other_was_done(done: dict[str, Any], day: str) -> None:
    first, second = {**TASK, "status": "completed", **done}, {**TASK, "id": "u"}
    made = pathway(action("a"), action("b", after="a", offset=1))
    judge = Judge({"resourceType": "Patient"}, {}, NOW)
    (changed,) = replan(made, {"a": first, "b": second}, {}, Moment(NOW, BASE), judge).changed
    assert (changed["id"], changed["restriction"]["period"]["start"]) == ("u", day)


@pytest.mark.parametrize(
    ("status", "day", "after"),
    [
        ("draft", "2026-06-10", "requested"),
        ("requested", "2026-06-11", "draft"),
        ("ready", "2026-06-11", "draft"),
        ("ready", "2026-06-10", "ready"),
        ("in-progress", "2026-06-11", "in-progress"),
        ("requested", "2026-06-09", "failed"),
    ],
)
def test_the_state_follows_the_window(status: str, day: str, after: str) -> None:
    """Available again becomes planned; what the patient has begun stays begun; a window that is over is missed."""
    patient = {"reference": "Patient/p"}
    first = {**TASK, "status": "completed", "executionPeriod": {"end": day}}
    second = {**TASK, "id": "u", "status": status, "for": patient, "owner": patient}
    second["restriction"] = {"period": {"start": "2026-01-01", "end": "2026-01-01"}}
    made = pathway(action("a"), action("b", after="a"))
    judge = Judge({"resourceType": "Patient"}, {}, NOW)
    (changed,) = replan(made, {"a": first, "b": second}, {}, Moment(NOW, BASE), judge).changed
    assert (changed["status"], changed["restriction"]["period"]["start"]) == (after, day)
    assert ("statusReason" in changed) == (after == "failed")


@pytest.mark.parametrize("status", ["completed", "failed", "rejected", "cancelled", "entered-in-error"])
def test_what_is_over_never_moves(status: str) -> None:
    first = {**TASK, "status": "completed", "executionPeriod": {"end": "2026-06-06"}}
    made = pathway(action("a"), action("b", after="a"))
    judge = Judge({"resourceType": "Patient"}, {}, NOW)
    steps = {"a": first, "b": {**TASK, "id": "u", "status": status}}
    assert replan(made, steps, {}, Moment(NOW, BASE), judge).changed == []
