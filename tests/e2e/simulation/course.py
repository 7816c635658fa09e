"""The course of one patient's care: a plan whose anchors move, begun by a referral or without one."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from tests.e2e.simulation.world import BASE, World

Json = dict[str, Any]


class Course:
    """What staff do for one patient on one pathway."""

    def __init__(self, world: World, random: Random, patient: str, pathway: str) -> None:
        self.world = world
        self.random = random
        self.patient = patient
        self.pathway = pathway
        self.side = random.choice(("left", "right"))
        self.authored = world.today
        self.accepted = False
        """Whether there is a plan, or was."""
        self.opted_out = False
        """Whether the patient has left the digital pathway: no plan is made any more."""

    def begin(self) -> None:
        raise NotImplementedError

    def act(self) -> None:
        """One day's work on it."""

    def leave(self) -> None:
        """The patient does not want it any more."""

    def finish(self) -> None:
        """It ends with the year."""

    def move_anchor(self, *, back: bool = False) -> None:
        """An event gets its date, or another one."""
        for plan in self.world.search("CarePlan", patient=self.patient, status="active"):
            events = self._events(plan["instantiatesCanonical"][0])
            event = self.random.choice(events)
            if event == "received":
                continue
            day = self.world.today + timedelta(days=self.random.randint(-7, 60) if not back else -1)
            if day < self.authored:
                continue
            anchor = {
                "name": "anchor",
                "part": [{"name": "event", "valueCode": event}, {"name": "date", "valueDate": day.isoformat()}],
            }
            reason = {"name": "reason", "valueString": f"{event} was given another day."}
            self.world.call(f"CarePlan/{plan['id']}/$replan", anchor, reason, expect=(200, 422))

    def _events(self, canonical: str) -> list[str]:
        url, _, version = canonical.partition("|")
        (definition,) = self.world.search("PlanDefinition", url=url, version=version)
        return sorted(set(_anchors(definition)))


class WalkIn(Course):
    """A plan that a clinician applies without any referral; sometimes a second one, which is refused."""

    def begin(self) -> None:
        self.authored = self.world.today
        self._apply((201,))
        self.accepted = True

    def act(self) -> None:
        if self.random.random() < 0.02:
            active = self.world.search("CarePlan", patient=self.patient, status="active")
            self._apply((422,) if active or self.opted_out else (201,))

    def _apply(self, expect: tuple[int, ...]) -> None:
        (definition,) = self.world.search("PlanDefinition", url=f"{BASE}/PlanDefinition/{self.pathway}")
        day = self.authored.isoformat()
        self.world.call(
            f"PlanDefinition/{definition['id']}/$apply",
            {"name": "subject", "valueString": self.patient},
            {
                "name": "anchor",
                "part": [{"name": "event", "valueCode": "received"}, {"name": "date", "valueDate": day}],
            },
            {"name": "laterality", "valueCode": self.side},
            expect=expect,
        )


def _anchors(element: Any) -> list[str]:
    """Every event that a step of the PlanDefinition is counted from."""
    if isinstance(element, list):
        return [event for one in element for event in _anchors(one)]
    if not isinstance(element, dict):
        return []
    if str(element.get("url", "")).endswith("/msk-step-anchor"):
        return [part["valueCode"] for part in element["extension"] if part["url"] == "event"]
    return [event for one in element.values() for event in _anchors(one)]
