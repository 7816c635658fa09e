"""What the invariants look at: everything of the workflow that one patient has, as stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

Json = dict[str, Any]

STEP_TYPES = ("Task", "Appointment", "ServiceRequest")
"""What a step of a plan can be (R4 care-plan-activity-kind, as far as pathways use it)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that cannot be."""

    resource: str
    """Type/id."""
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Moment:
    """When the store is looked at."""

    today: date
    settled: date
    """The last day whose windows have been opened and closed by the jobs: today, when they have just run."""


@dataclass
class Record:
    """One patient's workflow; `histories` are whole, oldest first, deletions left out."""

    canonical_base: str
    time_zone: str
    patient: Json
    resources: list[Json] = field(default_factory=list)
    """Current ones: CarePlan, Task, Appointment, ServiceRequest, EpisodeOfCare, Consent, Communication, and what these
    lead to: QuestionnaireResponse, Observation, Provenance."""
    histories: dict[str, list[Json]] = field(default_factory=dict)
    """By Type/id, of those that have more than one version."""
    is_scorable: Callable[[Json], bool] = lambda response: False
    """Whether the response has answers enough, to a scored instrument, that scores can be given."""
    waiting_for_more: frozenset[tuple[str, str]] = frozenset()
    """(plan, action) of steps that are not counted from their anchor alone: they follow others, or repeat."""

    @cached_property
    def by_reference(self) -> dict[str, Json]:
        return {name(resource): resource for resource in self.resources}

    def of_type(self, resource_type: str) -> Iterator[Json]:
        return (resource for resource in self.resources if resource["resourceType"] == resource_type)

    def history(self, resource: Json) -> list[Json]:
        return self.histories.get(name(resource), [resource])

    @cached_property
    def plans(self) -> list[Json]:
        """The plans that were made from a pathway; a client's own are its own."""
        return [plan for plan in self.of_type("CarePlan") if plan.get("instantiatesCanonical")]

    @cached_property
    def steps(self) -> list[tuple[Json, Json]]:
        """(plan, step) of every activity whose resource is there."""
        found = []
        for plan in self.plans:
            for reference in activities(plan):
                if step := self.by_reference.get(reference):
                    found.append((plan, step))
        return found

    def url(self, extension: str) -> str:
        return f"{self.canonical_base}/StructureDefinition/{extension}"

    def system(self, code_system: str) -> str:
        return f"{self.canonical_base}/CodeSystem/{code_system}"

    def extension(self, resource: Json, extension: str) -> Json | None:
        """The first extension of ours with this name."""
        return next(self.extensions(resource, extension), None)

    def extensions(self, resource: Json, extension: str) -> Iterator[Json]:
        url = self.url(extension)
        return (one for one in resource.get("extension", ()) if one.get("url") == url)

    def code(self, concept: Json | None, code_system: str) -> str | None:
        """The concept's code in a system of ours."""
        system = self.system(code_system)
        for coding in (concept or {}).get("coding", ()):
            if coding.get("system") == system:
                return str(coding.get("code"))
        return None


def name(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def activities(plan: Json) -> list[str]:
    """What CarePlan.activity refers to."""
    return [activity["reference"]["reference"] for activity in plan.get("activity", ()) if "reference" in activity]


def references(elements: list[Json] | None) -> list[str]:
    return [str(element.get("reference", "")) for element in elements or ()]


def parts(extension: Json) -> dict[str, Json]:
    """The parts of a complex extension by their url."""
    return {part["url"]: part for part in extension.get("extension", ())}


def plans_of(step: Json) -> list[str]:
    """What the step says it belongs to: an Appointment cannot be based on a plan (R4 appointment.html)."""
    element = "supportingInformation" if step["resourceType"] == "Appointment" else "basedOn"
    return [one for one in references(step.get(element)) if one.startswith("CarePlan/")]


def window_of(step: Json) -> tuple[date, date] | None:
    """The whole days on which a step may be done; None when it is not dated or has one side only."""
    period: Json
    if step["resourceType"] == "Task":
        period = step.get("restriction", {}).get("period", {})
    elif step["resourceType"] == "Appointment":
        period = next(iter(step.get("requestedPeriod", ())), {})
    else:
        period = step.get("occurrencePeriod", {})
    if "start" not in period or "end" not in period:
        return None
    return date.fromisoformat(period["start"][:10]), date.fromisoformat(period["end"][:10])


def is_for_patient(task: Json) -> bool:
    """A Task is the patient's own when the patient is its owner."""
    owner = task.get("owner", {}).get("reference")
    return owner is not None and owner == task.get("for", {}).get("reference")


def is_open(step: Json) -> bool:
    """Whether the step may still be done (R4 task-status, appointmentstatus, request-status)."""
    return step.get("status") in _OPEN[step["resourceType"]]


_OPEN = {
    "Task": frozenset(("draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold")),
    "Appointment": frozenset(("proposed", "pending", "booked", "arrived", "checked-in", "waitlist")),
    "ServiceRequest": frozenset(("draft", "active", "on-hold")),
}
