"""A client moves a step: the state machine of docs/steps.md, over HTTP on a server of each engine.

`planned -> available -> seen -> started -> done | missed | declined | stood down`, R4's statuses in this order; seen
and started may be left out, and nothing goes back.
"""

from __future__ import annotations

import itertools
import json

import pytest

from tests.e2e.steps import BASE, GUIDE, asks, is_step, refused, why

CHAIN = ["draft", "requested", "ready", "in-progress"]
ENDS = ["completed", "failed", "rejected", "cancelled"]
CALLED = {
    "draft": "planned",
    "requested": "available",
    "ready": "seen",
    "in-progress": "started",
    "completed": "done",
    "failed": "missed",
    "rejected": "declined",
    "cancelled": "stood down",
}
LEGAL = {
    ("draft", "requested"),
    *itertools.combinations(CHAIN[1:], 2),
    *itertools.product(CHAIN[1:], ENDS),
    *itertools.product(["draft"], ENDS[1:]),
}
"""Written from the line above, not from the code. What is planned is not done before it is available."""
STAFF = {"display": "clinic"}


def ended(task, status, **elements):
    """`task` in another state, with what an end has to say."""
    moved = {**task, "status": status, **elements}
    if status == "completed":
        moved["executionPeriod"] = {"end": "2026-03-02T08:00:00Z"}
    elif status in ENDS:
        moved["statusReason"] = {"coding": [{"system": f"{BASE}/CodeSystem/msk-step-reason", "code": "declined"}]}
    return moved


@pytest.mark.parametrize("before", CALLED)
@pytest.mark.parametrize("after", CALLED)
def test_every_pair_of_states(clinic, before, after):
    task = clinic.task(before, extension=is_step(), owner=STAFF, input=None)
    answer = clinic.put(ended(task, after))
    if before == after or (before, after) in LEGAL:
        assert answer.status_code == 200, answer.text
        assert clinic.read(f"Task/{task['id']}")["status"] == after
        return
    assert refused(answer) == (422, "business-rule", ["Task.status"])
    text = answer.json()["issue"][0]["diagnostics"]
    assert CALLED[before] in text
    assert CALLED[after] in text
    legal = [status for status in CALLED if (before, status) in LEGAL]
    _, _, told = text.partition("Legal now: ")
    assert told.rstrip(".").split(", ") == ([f"{s} ({CALLED[s]})" for s in legal] if legal else [""])
    assert clinic.read(f"Task/{task['id']}") == task


@pytest.mark.parametrize("before", CALLED)
def test_entered_in_error_is_no_move_and_is_final(clinic, before):
    """R4 task-status: the Task should never have existed, so it may be said of any, and nothing may follow."""
    task = clinic.task(before, extension=is_step(), owner=STAFF, input=None)
    wrong = clinic.stored({**task, "status": "entered-in-error"})
    assert refused(clinic.put({**wrong, "status": "requested"}))[:2] == (422, "business-rule")


def test_a_step_of_a_plan_written_by_hand_moves_by_the_same_rules(clinic):
    plan = clinic.stored(
        {
            "resourceType": "CarePlan",
            "id": f"c{clinic.patient}",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": f"Patient/{clinic.patient}"},
        }
    )
    task = clinic.task("completed", basedOn=[{"reference": f"CarePlan/{plan['id']}"}])
    assert refused(clinic.put({**task, "status": "requested"}))[0] == 422
    without = {key: value for key, value in task.items() if key != "basedOn"}
    assert refused(clinic.put({**without, "status": "requested"}))[0] == 422


def test_a_task_that_is_no_step_moves_as_its_owner_likes(clinic):
    task = clinic.task("completed")
    assert clinic.put({**task, "status": "requested"}).status_code == 200


def test_patch_and_transaction_move_by_the_same_rules(clinic):
    task = clinic.task("completed", extension=is_step())
    change = [{"op": "replace", "path": "/status", "value": "requested"}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = clinic.client.patch(f"Task/{task['id']}", content=json.dumps(change), headers=headers)
    assert refused(answer) == (422, "business-rule", ["Task.status"])
    entry = {
        "resource": {**task, "status": "requested"},
        "request": {"method": "PUT", "url": f"Task/{task['id']}"},
    }
    answer = clinic.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert refused(answer) == (422, "business-rule", ["Bundle.entry[0].resource.status"])


def test_an_end_says_when_or_why(clinic):
    for status, place in (("completed", "Task.executionPeriod.end"), *((one, "Task.statusReason") for one in ENDS[1:])):
        task = clinic.task(extension=is_step(), owner=STAFF, input=None)
        assert refused(clinic.put({**task, "status": status})) == (422, "required", [place])


def test_a_questionnaire_step_of_the_patient_is_done_by_a_response(clinic):
    task = clinic.task(extension=is_step())
    assert refused(clinic.put(ended(task, "completed"))) == (422, "business-rule", ["Task.output"])
    assert clinic.post(clinic.answers(task)).status_code == 201
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"


def test_a_resource_step_of_the_patient_is_done_by_a_view(clinic):
    task = clinic.task(extension=is_step(), input=[asks("resource", GUIDE)])
    assert refused(clinic.put(ended(task, "completed"))) == (422, "business-rule", ["Task.output"])


def test_the_patient_declines(clinic):
    task = clinic.task("ready", extension=is_step())
    assert clinic.put(ended(task, "rejected")).status_code == 200
    assert why(clinic.read(f"Task/{task['id']}")) == "declined"
