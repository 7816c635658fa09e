"""What must hold between a plan and its steps.

R4 careplan.html: the plan names its steps, and each step the plan. A plan that has ended, or whose patient has died,
left the digital pathway or become another record, asks nothing more of anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

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
    """One step for each action of the pathway (and `#n` for each repetition)."""
    seen: dict[tuple[str, str], str] = {}
    for plan, step in record.steps:
        action = record.extension(step, "msk-step-action")
        if action is None:
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
    active: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for plan in record.plans:
        if plan["status"] == "active":
            side = record.extension(plan, "msk-laterality")
            for canonical in plan["instantiatesCanonical"]:
                pathway = canonical.partition("|")[0]
                active[pathway, _laterality(side)].append(name(plan))
    for (pathway, laterality), plans in active.items():
        first, *others = sorted(plans)
        where = f" ({laterality})" if laterality else ""
        for other in others:
            yield Violation(first, "overlapping-plans", f"{other} is an active plan of {pathway}{where} too")


def _laterality(extension: Json | None) -> str | None:
    if extension is None:
        return None
    return str(extension.get("valueCode", extension.get("valueCoding", {}).get("code")))


def stood_down_patients_rest(record: Record, moment: Moment) -> Iterator[Violation]:
    """Death, merging and leaving the digital pathway end all open steps and plans."""
    reason = _stood_down(record)
    if reason is None:
        return
    for plan in record.plans:
        if plan["status"] not in ENDED:
            yield Violation(name(plan), "stands-for-nobody", f"it is {plan['status']}, and the patient {reason}")
    for _, step in record.steps:
        if is_open(step):
            yield Violation(name(step), "stands-for-nobody", f"it is {step['status']}, and the patient {reason}")


def _stood_down(record: Record) -> str | None:
    patient = record.patient
    if patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient:
        return "has died"
    if patient.get("active") is False or any(link.get("type") == "replaced-by" for link in patient.get("link", ())):
        return "is not in use any more"
    if consent := opted_out(record, "pathway"):
        return f"has left the digital pathway ({name(consent)})"
    return None


def opted_out(record: Record, category: str) -> Json | None:
    """The active Consent that denies `category`."""
    for consent in record.of_type("Consent"):
        codes = {record.code(concept, "msk-consent-category") for concept in consent.get("category", ())}
        denied = consent.get("provision", {}).get("type") == "deny"
        if consent.get("status") == "active" and denied and category in codes:
            return consent
    return None
