"""A plan as R4's own $apply gives it: one CarePlan whose single activity is a RequestGroup, nothing stored.

R4 plandefinition-operation-apply.html, requestgroup.html. All it speaks of is contained in it.
"""

from __future__ import annotations

from typing import Any

from fhir_server.pathways.apply import AppliedPlan
from fhir_server.pathways.apply_steps import period_of
from fhir_server.pathways.definition import Pathway, Step
from fhir_server.pathways.replan import action_of

Json = dict[str, Any]

_GROUP = "request-group"


def as_request_group(applied: AppliedPlan, canonical_base: str) -> Json:
    """The CarePlan, a draft: what would be made, with the same steps as when it is stored."""
    plan, pathway = applied.care_plan, applied.pathway
    local = {f"{one['resourceType']}/{one['id']}": f"#{name}" for name, one in _named(applied)}
    local[f"CarePlan/{plan['id']}"] = "#"
    contained = [{**_renamed(one, local), "id": name} for name, one in _named(applied)]
    steps = {str(action_of(one, canonical_base)): one for one in contained}
    group: Json = {
        "resourceType": "RequestGroup",
        "id": _GROUP,
        "instantiatesCanonical": [pathway.canonical],
        "status": "draft",
        "intent": plan["intent"],
        "subject": plan["subject"],
        **{name: plan[name] for name in ("encounter", "author") if name in plan},
        "authoredOn": plan["created"],
        "action": _actions(pathway, steps),
    }
    if not group["action"]:
        del group["action"]
    result = {**_renamed(plan, local), "status": "draft", "contained": [group, *contained]}
    del result["id"]
    return {**result, "activity": [{"reference": {"reference": f"#{_GROUP}"}}]}


def _named(applied: AppliedPlan) -> list[tuple[str, Json]]:
    goals = [(f"goal-{number}", goal) for number, goal in enumerate(applied.goals, 1)]
    return [*goals, *((f"step-{number}", step) for number, step in enumerate(applied.steps, 1))]


def _renamed(value: Any, local: dict[str, str]) -> Any:
    """With references to what is contained as R4 references.html#contained has them."""
    if isinstance(value, dict):
        return {
            key: local.get(inside, inside)
            if key == "reference" and isinstance(inside, str)
            else _renamed(inside, local)
            for key, inside in value.items()
        }
    return [_renamed(inside, local) for inside in value] if isinstance(value, list) else value


def _actions(pathway: Pathway, steps: dict[str, Json]) -> list[Json]:
    """The steps in the groups of the definition; a group without steps is left out."""
    top: list[Json] = []
    groups: dict[tuple[str, ...], list[Json]] = {(): top}
    for step in pathway.steps:
        if step.key not in steps:
            continue
        path = step.within[:-1]
        for depth in range(1, len(path) + 1):
            if path[:depth] not in groups:
                inside: list[Json] = []
                groups[path[: depth - 1]].append(
                    {"id": path[depth - 1], "title": pathway.groups[path[depth - 1]], "action": inside}
                )
                groups[path[:depth]] = inside
        groups[path].append(_action(step, steps[step.key]))
    return top


def _action(step: Step, resource: Json) -> Json:
    action: Json = {"id": step.key, "title": step.title}
    if step.priority:
        action["priority"] = step.priority
    if step.conditions:
        action["condition"] = [
            {"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": one.source}}
            for one in step.conditions
        ]
    window = period_of(resource)
    if window is not None:
        action["timingPeriod"] = window
    action["resource"] = {"reference": f"#{resource['id']}"}
    return action
