"""The goals of a pathway as the patient's own: proposed, to be agreed on (R4 goal.html, PlanDefinition.goal)."""

from __future__ import annotations

from typing import Any

from fhir_server.pathways.apply_steps import Context

Json = dict[str, Any]

_SAME = ("category", "priority", "description")


def goal_resource(goal: Json, context: Context) -> Json:
    """R4 goal.html: what the definition says of the goal, and since when it is the patient's."""
    made: Json = {
        "resourceType": "Goal",
        "id": context.new_id(),
        "lifecycleStatus": "proposed",
        **{name: [goal[name]] if name == "category" else goal[name] for name in _SAME if name in goal},
        "subject": {"reference": context.subject},
        "startDate": context.today.isoformat(),
    }
    if "target" in goal:
        made["target"] = [_target(target) for target in goal["target"]]
    return made


def _target(target: Json) -> Json:
    """PlanDefinition.goal.target.due is the duration that Goal.target may have as well."""
    return {"dueDuration" if name == "due" else name: value for name, value in target.items()}
