"""What must hold between a plan and its steps.

R4 careplan.html: the plan names its steps, and each step the plan. A plan that has ended, or whose patient has died,
left the digital pathway or become another record, asks nothing more of anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from fhir_server.pathways.consents import PATHWAY, denied
from fhir_server.pathways.invariants.record import (
    Json,
    Moment,
    Record,
    Violation,
    activities,
    is_open,
    name,
    plans_of,
)
from fhir_server.pathways.replan import fell_away

ENDED = frozenset(("completed", "revoked", "entered-in-error"))


def activities_exist(record: Record, moment: Moment) -> Iterator[Violation]:
    """Every activity of a plan is there, points back to the plan, and is named once."""
    for plan in record.plans:
        named = activities(plan)
        for reference in named:
            step = record.by_reference.get(reference)
            if step is None:
                yield Violation(name(plan), "activity-missing", f"its activity {reference} is not among the patient's")
            elif name(plan) not in plans_of(step):
                yield Violation(name(step), "step-without-plan", f"it does not refer to {name(plan)}, which names it")
        for reference in sorted({one for one in named if named.count(one) > 1}):
            yield Violation(name(plan), "activity-twice", f"it names {reference} {named.count(reference)} times")


def steps_are_named(record: Record, moment: Moment) -> Iterator[Violation]:
    """Every step that a pathway made is an activity of the plan it says it belongs to."""
    for resource in record.resources:
        action = record.extension(resource, "msk-step-action")
        if action is None:
            continue
        plans = [record.by_reference.get(reference) for reference in plans_of(resource)]
        if not any(plan is not None and name(resource) in activities(plan) for plan in plans):
            yield Violation(name(resource), "step-unnamed", "no plan has it as an activity")


def actions_are_made_once(record: Record, moment: Moment) -> Iterator[Violation]:
    """One step for each action of the pathway (and `#n` for each repetition), but for those that fell away."""
    seen: dict[tuple[str, str], str] = {}
    for plan, step in record.steps:
        action = record.extension(step, "msk-step-action")
        if action is None or fell_away(step):
            continue
        key = (name(plan), str(action.get("valueString")))
        if seen.get(key, name(step)) != name(step):
            yield Violation(name(step), "action-twice", f"{seen[key]} is a step for {key[1]} of {key[0]} too")
        seen[key] = name(step)


def ended_plans_rest(record: Record, moment: Moment) -> Iterator[Violation]:
    for plan, step in record.steps:
        if plan["status"] in ENDED and is_open(step):
            yield Violation(
                name(step), "open-in-ended-plan", f"it is {step['status']}, and {name(plan)} is {plan['status']}"
            )


def one_plan_of_a_pathway(record: Record, moment: Moment) -> Iterator[Violation]:
    """At most one active plan of a pathway for each side of the body."""
    active: dict[str, list[Json]] = defaultdict(list)
    for plan in record.plans:
        if plan["status"] == "active":
            for canonical in plan["instantiatesCanonical"]:
                active[canonical.partition("|")[0]].append(plan)
    for pathway, plans in active.items():
        for plan, other in combinations(sorted(plans, key=name), 2):
            if _overlap(_laterality(record, plan), _laterality(record, other)):
                text = f"{name(other)} is an active plan of {pathway} for the same side too"
                yield Violation(name(plan), "overlapping-plans", text)


def _laterality(record: Record, plan: Json) -> str | None:
    extension = record.extension(plan, "msk-laterality")
    return None if extension is None else str(extension.get("valueCode"))


def _overlap(one: str | None, other: str | None) -> bool:
    """Both sides are each side too."""
    return one == other or (one is not None and other is not None and "bilateral" in (one, other))


def stood_down_patients_rest(record: Record, moment: Moment) -> Iterator[Violation]:
    """Death, merging and leaving the digital pathway end all open steps and plans."""
    reason = _stood_down(record, moment)
    if reason is None:
        return
    for plan in record.plans:
        if plan["status"] not in ENDED:
            yield Violation(name(plan), "stands-for-nobody", f"it is {plan['status']}, and the patient {reason}")
    for _, step in record.steps:
        if is_open(step):
            yield Violation(name(step), "stands-for-nobody", f"it is {step['status']}, and the patient {reason}")


def _stood_down(record: Record, moment: Moment) -> str | None:
    patient = record.patient
    if is_dead(record):
        return "has died"
    if patient.get("active") is False or any(link.get("type") == "replaced-by" for link in patient.get("link", ())):
        return "is not in use any more"
    if PATHWAY in denied(record.of_type("Consent"), record.canonical_base, moment.today, record.time_zone):
        return "has left the digital pathway"
    return None


def is_dead(record: Record) -> bool:
    return record.patient.get("deceasedBoolean") is True or "deceasedDateTime" in record.patient
