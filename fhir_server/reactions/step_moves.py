"""A client moves a step: only along the state machine (pathways/steps.py), and what follows in its plan."""

from __future__ import annotations

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.replan import action_of
from fhir_server.pathways.step_outcome import outputs, questionnaires, resources, same_canonical
from fhir_server.pathways.steps import (
    OPEN,
    fault_of_move,
    faults_of_end,
    is_for_patient,
    is_step,
    plans_of,
    window_of,
)
from fhir_server.reactions.patient_steps import Json, read, settle
from fhir_server.reactions.registry import Write


async def step_moves(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) for a move that is not legal, and for an end that does not say when or why."""
    task, base = write.resource, write.canonical_base
    before = await write.before()
    if before is None or not (is_step(task, base) or is_step(before, base)):
        return []
    _refuse_another_step(before, task, write)
    if before["status"] == task["status"]:
        return []
    fault = fault_of_move(task, before["status"])
    faults = [fault] if fault else [*faults_of_end(task, base), *await _faults_of_outcome(write)]
    if faults:
        raise BusinessRule(faults[0].diagnostics, issues=faults)
    return [] if task["status"] in OPEN else await settle(write, task)


_HELD = ("for", "basedOn", "instantiatesCanonical", "input")
"""What makes a Task the step that it is."""


def _refuse_another_step(before: Json, task: Json, write: Write) -> None:
    """Raises BusinessRule (422) for a step that becomes another one, or whose window ends before it begins."""
    if action_of(before, write.canonical_base) is None:
        return
    changed = [element for element in _HELD if before.get(element) != task.get(element)]
    if action_of(before, write.canonical_base) != action_of(task, write.canonical_base):
        changed.append("extension")
    text = f"Task/{task['id']} is a step of a plan: who it is for, its plan and what it asks for stay as they are."
    issues = [Issue("business-rule", text, f"Task.{element}") for element in changed]
    first, last = window_of(task, write.zone)
    if first is not None and last is not None and last < first:
        text = f"The window of Task/{task['id']} ends ({last}) before it begins ({first})."
        issues.append(Issue("business-rule", text, "Task.restriction.period"))
    if issues:
        raise BusinessRule(issues[0].diagnostics, issues=issues)


async def _faults_of_outcome(write: Write) -> list[Issue]:
    """The patient's own step is done by what it asks for, not by saying so."""
    task = write.resource
    if task["status"] != "completed" or not is_for_patient(task):
        return []
    asked = questionnaires(task)
    if asked:
        responses = [await read(write, reference) for reference in outputs(task, "QuestionnaireResponse")]
        if any(response is not None and _answers(response, task, asked) for response in responses):
            return []
        text = f"The step is done by a completed QuestionnaireResponse of its patient on {asked[0]}: send that."
    elif resources(task, write.canonical_base) and not outputs(task, "Communication"):
        text = "The step is done by a Communication of category resource-viewed: send that."
    else:
        return []
    return [Issue("business-rule", text, "Task.output")]


def _answers(response: Json, task: Json, asked: list[str]) -> bool:
    return (
        response["status"] in ("completed", "amended")
        and response.get("subject", {}).get("reference") == task["for"]["reference"]
        and any(same_canonical(str(response.get("questionnaire", "")), canonical) for canonical in asked)
    )


async def step_ended(write: Write) -> list[Issue]:
    """An Appointment or ServiceRequest that is a step of a plan has ended: what was waiting for it is dated."""
    step = write.resource
    if not plans_of(step) or step["status"] not in _ENDS[step["resourceType"]]:
        return []
    before = await write.before()
    if before is not None and before["status"] == step["status"]:
        return []
    return await settle(write, step)


_ENDS = {
    "Appointment": frozenset(("fulfilled", "cancelled", "noshow", "entered-in-error")),
    "ServiceRequest": frozenset(("completed", "revoked", "entered-in-error")),
}
"""R4 appointmentstatus and request-status: what does not move any more."""
