"""A response arrives: the step it answers is begun, done or marked late, and its scores are stored.

The step is the Task that the response names (msk-task), else the one that is open and asks for its questionnaire. A
response that answers no step is kept, with a warning: answers are never thrown away (docs/steps.md).
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from fhir_server.errors import BusinessRule, Issue
from fhir_server.instruments.alerts import stored_alerts
from fhir_server.instruments.catalogue import shipped
from fhir_server.interactions.consequences import AlreadyStored
from fhir_server.operations.score_storage import store_scores
from fhir_server.operations.scorer import Scorer
from fhir_server.pathways.apply_steps import WINDOW_CLOSED
from fhir_server.pathways.step_outcome import (
    done,
    late,
    outputs,
    questionnaires,
    response_given,
    same_canonical,
    started,
)
from fhir_server.pathways.steps import STATES, UNDER_WAY, days_of, has_reason, is_late, is_planned, window_of
from fhir_server.reactions.patient_steps import (
    Json,
    named_task,
    open_tasks,
    put_task,
    read,
    settle,
    task_with_output,
    warning,
)
from fhir_server.reactions.registry import Write
from fhir_server.reactions.responder import check_responder

TYPE = "QuestionnaireResponse"
_ANSWERED = ("completed", "amended")


async def questionnaire_answered(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) for a response that cannot be the answer to the step it names."""
    response = write.resource
    before = await write.before()
    if before is not None:
        step = await task_with_output(write, _subject(response) or _subject(before))
        if step is not None:
            return await _changed(write, step)
    if response["status"] not in ("in-progress", *_ANSWERED):
        return []
    await check_responder(write)
    named = _named(write)
    if named is not None:
        task = await named_task(write, named, _place(write))
        _refuse_another(task, response)
        return await _answer_named(write, task)
    # A response that was kept without a step before does not end one because it is amended.
    if before is None or before["status"] == "in-progress":
        return await _answer_open(write)
    return []


async def alerts_told(write: Write) -> list[Issue]:
    """Who sends an alarming answer learns at once that it is one."""
    return stored_alerts(write.resource)


async def _changed(write: Write, step: Json) -> list[Issue]:
    """What a step was done by is written again."""
    response = write.resource
    if response["status"] in ("in-progress", "stopped"):
        raise BusinessRule(
            f"Task/{step['id']} was done by this response: amend it (status amended), or mark it entered-in-error.",
            expression=f"{TYPE}.status",
        )
    if _named(write) not in (None, f"Task/{step['id']}"):
        text = f"Task/{step['id']} was done by this response, so it cannot name another Task."
        raise BusinessRule(text, expression=_place(write))
    _refuse_another(step, response)
    if response["status"] in _ANSWERED:
        await check_responder(write)
        return await _score(write, step, again=True)
    issues = await _score(write, step, again=True)
    text = (
        f"Task/{step['id']} stays {STATES[step['status']]}, and its response is in error: a new response that names it "
        "takes its place."
    )
    return [*issues, warning(text)]


async def _answer_named(write: Write, task: Json) -> list[Issue]:
    now = write.server.clock.now()
    complete = write.resource["status"] in _ANSWERED
    if task["status"] in UNDER_WAY:
        if is_planned(task, now.date(), write.zone):
            return [_kept(f"Task/{task['id']} is planned, and its window has not opened")]
        return await _answer(write, task)
    earlier = outputs(task, TYPE)
    if f"{TYPE}/{write.version.logical_id}" in earlier:
        return await _score(write, task)
    if earlier and complete:
        replaced = await read(write, earlier[-1])
        if replaced is None or replaced["status"] == "entered-in-error":
            await put_task(write, {**done(task, response_given(write.resource), now), **_end_of(task)})
            return await _score(write, task, again=True)
        await _refuse_again(write, task, replaced)
    elif complete and task["status"] == "failed" and has_reason(task, write.canonical_base, WINDOW_CLOSED):
        return await _answer_late(write, task)
    return [_kept(f"Task/{task['id']} is {STATES.get(task['status'], task['status'])} already")]


def _end_of(task: Json) -> Json:
    """How the step ended, which does not change."""
    return {element: task[element] for element in ("status", "statusReason") if element in task}


async def _refuse_again(write: Write, task: Json, earlier: Json) -> None:
    """Raises AlreadyStored when the same answers, given at the same time, were sent for the step before."""
    response = write.resource
    if any(response.get(element) != earlier.get(element) for element in ("authored", "item", "questionnaire")):
        return
    version = await write.transaction.current(TYPE, earlier["id"])
    assert version is not None
    text = f"Task/{task['id']} was done by {TYPE}/{earlier['id']}, which says the same: nothing new came of this one."
    raise AlreadyStored(version, Issue("duplicate", text, TYPE, "information"))


async def _answer_open(write: Write) -> list[Issue]:
    """The one step that is open and asks for the questionnaire."""
    response = write.resource
    patient, canonical = _subject(response), response.get("questionnaire")
    if not patient.startswith("Patient/") or canonical is None:
        return []
    today, zone = write.server.clock.today(), write.zone
    tasks = [
        task
        for task in await open_tasks(write, patient, [canonical])
        if _asks(task, canonical) and _is_open(task, today, zone, days_of(response.get("authored"), zone))
    ]
    if len(tasks) == 1:
        return await _answer(write, tasks[0])
    if tasks:
        names = ", ".join(f"Task/{task['id']}" for task in tasks[:10])
        text = f"{len(tasks)} open steps of {patient} ask for it ({names}): name one in the extension msk-task"
        return [_kept(text)]
    return [_kept(f"No open step of {patient} asks for {canonical[:200]}")]


def _is_open(task: Json, today: date, zone: ZoneInfo, authored: tuple[date, date] | None) -> bool:
    """Whether answers that name no step may be for this one: its window is open, and was when they were given."""
    first, _ = window_of(task, zone)
    if first is None:
        return task["status"] != "draft" and not is_late(task, today, zone)
    given = today if authored is None else authored[1]
    return first <= min(today, given) and not is_late(task, today, zone)


async def _answer(write: Write, task: Json) -> list[Issue]:
    """A step that is under way."""
    response, now = write.resource, write.server.clock.now()
    if response["status"] not in _ANSWERED:
        if task["status"] != "in-progress" and not is_late(task, now.date(), write.zone):
            await put_task(write, started(task, response_given(response), now))
        return []
    if is_late(task, now.date(), write.zone):
        return await _answer_late(write, task)
    ended = done(task, response_given(response), now)
    await put_task(write, ended)
    return await _score(write, ended)


async def _answer_late(write: Write, task: Json) -> list[Issue]:
    base = write.canonical_base
    missed = late(task, response_given(write.resource), write.server.clock.now(), base)
    await put_task(write, missed)
    _, last = window_of(task, write.zone)
    until = f" on {last}" if last else ""
    text = f"The window of Task/{task['id']} closed{until}: the answers are kept and marked late."
    return [warning(text), *await _score(write, missed)]


async def _score(write: Write, step: Json, *, again: bool = False) -> list[Issue]:
    """The scores, as $score stores them, then what they and the step decide in its plans, or decide `again`."""
    issues: list[Issue] = []
    if _is_instrument(write):
        version = write.version
        scorer = Scorer(write.server, write.transaction, _version_asked(step, write.resource))
        kept = await store_scores(write.server, write.transaction, version, scorer, first=version.version_id == 1)
        if write.resource["status"] in _ANSWERED:
            issues += [Issue(one.code, one.diagnostics, one.expression, "warning") for one in kept.refused]
        issues += kept.warnings
    return [*issues, *await settle(write, step, again=again)]


def _version_asked(step: Json, response: Json) -> str | None:
    """The step says which version was to be answered, where the response leaves it open."""
    canonical = str(response["questionnaire"])
    asked = (one for one in questionnaires(step) if same_canonical(one, canonical))
    return None if "|" in canonical else next(asked, None)


def _is_instrument(write: Write) -> bool:
    try:
        shipped(write.canonical_base).of_questionnaire(str(write.resource.get("questionnaire", "")))
    except BusinessRule:
        return False
    return True


def _refuse_another(task: Json, response: Json) -> None:
    """Raises BusinessRule (422) when the Task is of another patient, or asks for something else."""
    if task.get("for", {}).get("reference") != _subject(response):
        text = f"Task/{task['id']} is not a step of the patient that the answers are about."
        raise BusinessRule(text, expression=f"{TYPE}.subject")
    if not _asks(task, str(response.get("questionnaire", ""))):
        asked = ", ".join(questionnaires(task)) or "no questionnaire"
        raise BusinessRule(f"Task/{task['id']} asks for {asked}.", expression=f"{TYPE}.questionnaire")


def _asks(task: Json, canonical: str) -> bool:
    return any(same_canonical(asked, canonical) for asked in questionnaires(task))


def _named(write: Write) -> str | None:
    """The Task in the extension msk-task; empty text when the extension has none."""
    for extension in write.resource.get("extension", ()):
        if extension["url"] == _extension(write):
            return str(extension.get("valueReference", {}).get("reference", ""))
    return None


def _extension(write: Write) -> str:
    return f"{write.canonical_base}/StructureDefinition/msk-task"


def _place(write: Write) -> str:
    return f"{TYPE}.extension('{_extension(write)}').value.reference"


def _subject(response: Json) -> str:
    return str(response.get("subject", {}).get("reference", ""))


def _kept(why: str) -> Issue:
    return warning(f"{why}: the answers are kept, and end no step.")
