"""Every shipped pathway applied over HTTP: the steps and days of timetable.txt. Both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.content import shipped_resources

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
ACTION = f"{BASE}/StructureDefinition/msk-step-action"
EVENTS = {
    "received": date(2026, 1, 5),
    "accepted": date(2026, 1, 9),
    "improving": date(2026, 2, 23),
    "not-improving": date(2026, 2, 23),
    "listed": date(2026, 3, 2),
    "operation": date(2026, 6, 15),
    "diagnosis": date(2026, 1, 19),
    "target": date(2026, 7, 20),
    "programme": date(2026, 2, 2),
    "injection": date(2026, 3, 9),
    "surgery": date(2026, 6, 1),
    "decompression": date(2026, 4, 13),
    "discharge": date(2026, 8, 3),
}
SHIPPED = {
    f"{resource['url']}|{resource['version']}": resource for resource in shipped_resources(BASE) if "url" in resource
}
PLANS = {one["id"]: one for one in SHIPPED.values() if one["resourceType"] == "PlanDefinition"}


def timetable() -> dict[str, list[list[str]]]:
    """The lines of each pathway, its first being the number of steps."""
    found: dict[str, list[list[str]]] = {}
    text = (Path(__file__).parent / "timetable.txt").read_text()
    for line in (line.split() for line in text.splitlines() if line and not line.startswith("#")):
        if line[0].startswith("["):
            rows = found[line[0].strip("[]")] = [line[1:]]
        else:
            rows.append(line)
    return found


TIMETABLE = timetable()


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as client:
        yield client


def applied(client: httpx.Client, pathway: str, *without: str) -> list[Json]:
    """The resources of the steps, for a new patient whom everything but `without` has happened to."""
    patient = client.post("Patient", json={"resourceType": "Patient", "active": True, "birthDate": "1960-02-29"})
    known = {word for row in TIMETABLE[pathway][1:] for word in row[2:4] if word in EVENTS} - set(without)
    anchors = [
        {
            "name": "anchor",
            "part": [{"name": "event", "valueCode": event}, {"name": "date", "valueDate": EVENTS[event].isoformat()}],
        }
        for event in sorted(known)
    ]
    subject = {"name": "subject", "valueString": f"Patient/{patient.json()['id']}"}
    side = {"name": "laterality", "valueCode": "left"}
    answer = client.post(
        f"PlanDefinition/{pathway}/$apply",
        json={"resourceType": "Parameters", "parameter": [subject, side, *anchors]},
    )
    assert answer.status_code == 201, answer.text[:2000]
    plan = answer.json()
    return [client.get(activity["reference"]["reference"]).json() for activity in plan["activity"]]


def described(step: Json) -> tuple[str, ...]:
    """Action, resource, and the first and last day if it has them."""
    action = next(one["valueString"] for one in step["extension"] if one["url"] == ACTION)
    period = {
        "Task": lambda: step.get("restriction", {}).get("period"),
        "Appointment": lambda: next(iter(step.get("requestedPeriod", ())), None),
        "ServiceRequest": lambda: step.get("occurrencePeriod"),
    }[step["resourceType"]]()
    days = (period["start"][:10], period["end"][:10]) if period else ()
    return (action, step["resourceType"], *days)


def expected(row: list[str]) -> tuple[str, ...]:
    action, kind, what, *days = row
    if what in ("waits", "open"):
        return action, kind
    if what == "on":
        return action, kind, *days[1:]
    first, last = (EVENTS[what] + timedelta(int(number)) for number in days)
    return action, kind, first.isoformat(), last.isoformat()


WAYS = [
    (pathway, unless)
    for pathway, (_, *rows) in TIMETABLE.items()
    for unless in sorted({row[2] for row in rows} & {"improving", "not-improving"}) or ["none"]
]


@pytest.mark.parametrize(("pathway", "unless"), WAYS)
def test_steps_and_days(client: httpx.Client, pathway: str, unless: str) -> None:
    """A step of a review that went the other way is not made."""
    rows = TIMETABLE[pathway][1:]
    kept = [expected(row) for row in rows if unless not in row[2:]]
    assert [described(step) for step in applied(client, pathway, unless)] == kept


def test_every_pathway_has_a_timetable() -> None:
    assert sorted(PLANS) == sorted(TIMETABLE)
    for pathway, ((number,), *rows) in TIMETABLE.items():
        assert len(rows) == int(number), pathway


def actions(parent: Json) -> Iterator[Json]:
    for action in parent.get("action", ()):
        yield action
        yield from actions(action)


@pytest.mark.parametrize("pathway", PLANS)
def test_what_a_step_needs_is_shipped(pathway: str) -> None:
    """Each action's activity, the form it asks and the resource it shows, in the version it names."""
    steps = [action for action in actions(PLANS[pathway]) if "action" not in action]
    for action in steps:
        activity = SHIPPED[action["definitionCanonical"]]
        forms = [one["valueCanonical"] for one in activity.get("extension", ()) if "valueCanonical" in one]
        shown = [one["resource"] for one in activity.get("relatedArtifact", ())]
        kind = action["code"][0]["coding"][0]["code"]
        assert {SHIPPED[one]["resourceType"] for one in forms} <= {"Questionnaire"}
        assert {SHIPPED[one]["resourceType"] for one in shown} <= {"Library"}
        assert kind == activity["code"]["coding"][0]["code"], action["id"]
        assert forms or kind != "questionnaire", action["id"]
        assert shown or kind not in ("view-resource", "decision-aid"), action["id"]


def test_no_activity_is_shipped_that_no_pathway_uses() -> None:
    used = {action.get("definitionCanonical") for plan in PLANS.values() for action in actions(plan)}
    activities = {key for key, one in SHIPPED.items() if one["resourceType"] == "ActivityDefinition"}
    assert activities - used == set()


@pytest.mark.parametrize("library", [key for key, one in SHIPPED.items() if one["resourceType"] == "Library"])
def test_a_resource_says_who_reviewed_it_and_when_again(library: str) -> None:
    resource = SHIPPED[library]
    assert resource["approvalDate"] <= resource["lastReviewDate"] < resource["effectivePeriod"]["end"]
    assert resource["reviewer"]
    assert f"{BASE}/StructureDefinition/msk-coproduction" in {one["url"] for one in resource["extension"]}
    assert {one["code"]["code"] for one in resource["useContext"]} == {"focus", "workflow", "language"}
