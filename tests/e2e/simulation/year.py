"""A year of synthetic patients over the six pathways, proved sound month by month by `fhir-server check`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fhir_server.synthetic.directory import build_directory
from fhir_server.synthetic.population import patient_record
from tests.e2e.simulation.person import Forms, Person
from tests.e2e.simulation.world import World

Json = dict[str, Any]

PATHWAYS = (
    "knee-oa-arthroplasty",
    "hip-oa-arthroplasty",
    "low-back-pain",
    "early-inflammatory-arthritis",
    "chronic-pain",
    "shoulder-pain",
    "carpal-tunnel",
)
START = date(2024, 1, 29)
"""A Monday, so that the year holds a leap day and both changes of the clocks, and ends before the present."""


@dataclass(frozen=True, slots=True)
class Year:
    """How much is simulated."""

    patients: int
    seed: int
    days: int = 366
    stride: int = 7
    """Days from one look to the next."""
    restarts: int = 1

    def run(self, world: World) -> None:
        world.start()
        try:
            world.directory()
            people = self._people(world)
            month = world.today.month
            looks = range(0, self.days, self.stride)
            restart_at = {len(looks) * (n + 1) // (self.restarts + 1) for n in range(self.restarts)}
            for number, day in enumerate(looks):
                world.set_clock(START + timedelta(days=day))
                if number in restart_at:
                    world.restart()
                world.run_jobs()
                world.open_slots(1 + self.patients // 50)
                for person in people:
                    person.act()
                if world.today.month != month:
                    month = world.today.month
                    _prove(world)
            for person in people:
                if not person.is_gone:
                    person.course.finish()
            _prove(world)
            assert world.findings() == ""
            _slots_are_busy_when_taken(world)
            _read_timelines(world, people)
        finally:
            world.stop()

    def _people(self, world: World) -> list[Person]:
        directory = build_directory(self.seed)
        forms = Forms(world)
        people = []
        for number in range(self.patients):
            patient = next(iter(patient_record(self.seed, number, directory)))
            own = {name: value for name, value in patient.items() if name not in _ELSEWHERE}
            people.append(Person(world, own, number, self.seed, PATHWAYS[number % len(PATHWAYS)], forms))
        return people


_ELSEWHERE = ("generalPractitioner", "managingOrganization", "text")


def _prove(world: World) -> None:
    world.run_jobs()
    found = [f"{one.resource}: {one.rule}: {one.detail}" for one in world.violations()]
    assert found == [], "\n".join([str(world.today), *found[:40]])


def _slots_are_busy_when_taken(world: World) -> None:
    """What was given back, or left for another slot, is free again."""
    held = {
        one["reference"]
        for appointment in world.search("Appointment", status="booked,fulfilled,noshow")
        for one in appointment.get("slot", ())
    }
    assert {f"Slot/{slot['id']}" for slot in world.search("Slot", status="busy")} == held


def _read_timelines(world: World, people: list[Person]) -> None:
    """Everybody's steps are on their timeline, each once."""
    for person in people:
        if not person.is_here:
            continue
        bundle = world.read(f"{person.reference}/$timeline?all=true")
        listed = [entry["item"]["reference"] for entry in bundle["entry"][0]["resource"].get("entry", [])]
        plans = world.search("CarePlan", patient=person.reference)
        steps = [activity["reference"]["reference"] for plan in plans for activity in plan["activity"]]
        assert len(listed) == len(set(listed)), person.reference
        assert set(steps) <= set(listed), person.reference
