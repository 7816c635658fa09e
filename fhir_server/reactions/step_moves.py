"""A client moves a step: only along the state machine (pathways/steps.py), and what follows in its plan."""

from __future__ import annotations

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.step_outcome import outputs, questionnaires, resources, same_canonical
from fhir_server.pathways.steps import OPEN, fault_of_move, faults_of_end, is_for_patient, is_step, plans_of
from fhir_server.reactions.patient_steps import Json, read, settle
from fhir_server.reactions.registry import Write


async def step_moves(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) for a move that is not legal, and for an end that does not say when or why."""
    task, base = write.resource, write.canonical_base
    before = await write.before()
    if before is None or before["status"] == task["status"] or not (is_step(task, base) or is_step(before, base)):
        return []
    fault = fault_of_move(task, before["status"])
    faults = [fault] if fault else [*faults_of_end(task, base), *await _faults_of_outcome(write)]
    if faults:
        raise BusinessRule(faults[0].diagnostics, issues=faults)
    return [] if task["status"] in OPEN else await settle(write, task)


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
