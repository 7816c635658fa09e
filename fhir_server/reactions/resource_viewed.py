"""Somebody says that the patient has viewed something: the step that asks for it is done.

A Communication of category resource-viewed that was received (or is completed) names its step in `about`; otherwise
exactly one open step must ask for the Library in its payload, else it is kept with a warning (docs/steps.md).
"""

from __future__ import annotations

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.apply_steps import WINDOW_CLOSED
from fhir_server.pathways.step_outcome import done, late, outputs, questionnaires, resources, same_canonical, view_given
from fhir_server.pathways.steps import STATES, UNDER_WAY, has_reason, is_late, is_planned
from fhir_server.reactions.patient_steps import Json, named_task, open_tasks, put_task, read, settle, warning
from fhir_server.reactions.registry import Write

TYPE = "Communication"


async def resource_viewed(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) when the step named is not there, of another patient, or asks for something else."""
    communication, base = write.resource, write.canonical_base
    if not _is_view(communication, base):
        return []
    named = [str(one.get("reference", "")) for one in communication.get("about", ())]
    named = [reference for reference in named if reference.startswith("Task/")]
    if not named:
        return await _viewed_open(write)
    issues: list[Issue] = []
    for reference in named:
        task = await named_task(write, reference, f"{TYPE}.about.reference")
        _refuse_another(task, communication, base)
        issues += await _viewed(write, task)
    return issues


def _is_view(communication: Json, base: str) -> bool:
    system = f"{base}/CodeSystem/msk-communication-category"
    codings = [coding for concept in communication.get("category", ()) for coding in concept.get("coding", ())]
    if not any(one.get("system") == system and one.get("code") == "resource-viewed" for one in codings):
        return False
    return communication["status"] == "completed" or (
        "received" in communication and communication["status"] not in ("entered-in-error", "not-done")
    )


def _refuse_another(task: Json, communication: Json, base: str) -> None:
    if task.get("for", {}).get("reference") != _patient(communication):
        text = f"Task/{task['id']} is not a step of the patient who viewed it."
        raise BusinessRule(text, expression=f"{TYPE}.subject")
    if questionnaires(task) or not resources(task, base):
        text = f"Task/{task['id']} does not ask for something to be viewed."
        raise BusinessRule(text, expression=f"{TYPE}.about.reference")


def _patient(communication: Json) -> str:
    """Whom it is about (R4 communication.html: subject), else who sends it."""
    subject = communication.get("subject") or communication.get("sender") or {}
    return str(subject.get("reference", ""))


async def _viewed_open(write: Write) -> list[Issue]:
    communication, base = write.resource, write.canonical_base
    patient = _patient(communication)
    viewed = await _canonicals(write)
    if not viewed or not patient.startswith("Patient/"):
        return [_kept("It names neither a step nor a Library that is here")]
    tasks = [
        task
        for task in await open_tasks(write, patient, viewed)
        if not questionnaires(task)
        and any(same_canonical(asked, one) for asked in resources(task, base) for one in viewed)
        and not _is_planned(write, task)
    ]
    if len(tasks) == 1:
        return await _viewed(write, tasks[0])
    if tasks:
        names = ", ".join(f"Task/{task['id']}" for task in tasks[:10])
        return [_kept(f"{len(tasks)} open steps of {patient} ask for it ({names}): name one in about")]
    return [_kept(f"No open step of {patient} asks for {viewed[0]}")]


async def _canonicals(write: Write) -> list[str]:
    """Of the Libraries in the payload."""
    found = []
    for payload in write.resource.get("payload", ()):
        reference = str(payload.get("contentReference", {}).get("reference", ""))
        library = await read(write, reference) if reference.startswith("Library/") else None
        if library is not None and "url" in library:
            version = library.get("version")
            found.append(f"{library['url']}|{version}" if version else str(library["url"]))
    return found


async def _viewed(write: Write, task: Json) -> list[Issue]:
    base, now = write.canonical_base, write.server.clock.now()
    given = view_given(write.resource, base)
    if task["status"] in UNDER_WAY:
        if _is_planned(write, task):
            return [_kept(f"Task/{task['id']} is planned, and its window has not opened")]
        if not is_late(task, now.date(), write.zone):
            return await _end(write, done(task, given, now))
    elif task["status"] != "failed" or outputs(task, TYPE) or not has_reason(task, base, WINDOW_CLOSED):
        text = f"Task/{task['id']} is {STATES.get(task['status'], task['status'])} already: that stays."
        return [Issue("informational", text, None, "information")]
    text = f"The window of Task/{task['id']} has closed: it is kept as missed, and marked as done late."
    return [warning(text), *await _end(write, late(task, given, now, base))]


async def _end(write: Write, step: Json) -> list[Issue]:
    await put_task(write, step)
    return await settle(write, step)


def _is_planned(write: Write, task: Json) -> bool:
    return is_planned(task, write.server.clock.today(), write.zone)


def _kept(why: str) -> Issue:
    return warning(f"{why}: the Communication is kept, and ends no step.")
