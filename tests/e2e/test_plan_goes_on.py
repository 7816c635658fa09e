"""Answering a step decides what comes next in its plan, in the same transaction, on a server of each engine.

The low back pain pathway: STarT Back's risk group opens one of three branches, once the red flags are clear.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.steps import BASE, names, said
from tests.instruments.responses import answered

PATHWAY = "low-back-pain-1.0.0"
# Keele: total 0 to 3 is low risk; 4 or more is medium with a distress subscale (5 to 9) of 0 to 3, else high.
LOW = dict.fromkeys((f"q{n}" for n in range(1, 10)), "0")
MEDIUM = {**LOW, **dict.fromkeys(("q1", "q2", "q3", "q4"), "1")}
HIGH = {**LOW, **dict.fromkeys(("q5", "q6", "q7", "q8"), "1")}


def apply(clinic):
    """The plan of the patient, received today."""
    given = [{"name": "subject", "valueString": f"Patient/{clinic.patient}"}]
    parameters = {"resourceType": "Parameters", "parameter": given}
    answer = clinic.client.post(f"PlanDefinition/{PATHWAY}/$apply", json=parameters)
    assert answer.status_code == 201, answer.text
    return "/".join(answer.headers["Location"].split("/")[-4:-2])


def steps(clinic, plan):
    """Those of the plan by action."""
    found = {}
    for activity in clinic.read(plan)["activity"]:
        step = clinic.read(activity["reference"]["reference"])
        (action,) = [e["valueString"] for e in step["extension"] if e["url"].endswith("/msk-step-action")]
        found[action] = step
    return found


def send(clinic, task, instrument, answers, status=201):
    response = answered(instrument, answers)
    response |= {
        "subject": {"reference": f"Patient/{clinic.patient}"},
        "authored": "2026-03-02T08:30:00Z",
        "extension": [names(task)],
    }
    answer = clinic.post(response)
    assert answer.status_code == status, answer.text


def clear_red_flags(clinic, task):
    form = f"{BASE}/Questionnaire/msk-red-flags"
    (questionnaire,) = [
        entry["resource"] for entry in clinic.client.get("Questionnaire", params={"url": form}).json()["entry"]
    ]
    items = [
        {"linkId": item["linkId"], "answer": [{"valueBoolean": False}]}
        for item in questionnaire["item"]
        if item["type"] == "boolean"
    ]
    answer = clinic.post(
        {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": f"{form}|{questionnaire['version']}",
            "status": "completed",
            "subject": {"reference": f"Patient/{clinic.patient}"},
            "authored": "2026-03-02T08:30:00Z",
            "extension": [names(task)],
            "item": items,
        }
    )
    assert answer.status_code == 201, answer.text
    assert said(answer) == []


BRANCHES = {"self-care", "physiotherapy", "combined"}


@pytest.mark.parametrize(
    ("answers", "branch"),
    [(LOW, "self-care"), (MEDIUM, "physiotherapy"), (HIGH, "combined")],
    ids=["low", "medium", "high"],
)
def test_start_back_opens_one_branch(clinic, answers, branch):
    plan = apply(clinic)
    made = steps(clinic, plan)
    clear_red_flags(clinic, made["red-flags"])
    before = steps(clinic, plan)
    assert {before[name]["status"] for name in BRANCHES} <= {"draft", "proposed"}
    send(clinic, before["baseline-start-back"], "start-back", answers)
    after = steps(clinic, plan)
    assert after["baseline-start-back"]["status"] == "completed"
    ended = {name for name in BRANCHES if after[name]["status"] in ("cancelled", "revoked")}
    assert ended == BRANCHES - {branch}
    for name in BRANCHES - {branch}:
        assert "not-applicable" in str(after[name])
    if branch == "self-care":
        assert after[branch]["restriction"]["period"] == {"start": "2026-03-02", "end": "2026-03-30"}
    else:
        assert after[branch]["requestedPeriod"][0]["start"] == "2026-03-02"
    # What changed is told by one Provenance of the transaction that stored the answers.
    changed = after[branch]
    reference = f"{changed['resourceType']}/{changed['id']}"
    reasons = [
        entry["resource"]["reason"][0]["text"]
        for entry in clinic.client.get("Provenance", params={"target": reference}).json().get("entry", [])
    ]
    assert f"Task/{before['baseline-start-back']['id']} is completed." in reasons


def test_an_answer_that_cannot_be_settles_nothing(clinic):
    plan = apply(clinic)
    made = steps(clinic, plan)
    wrong = answered("start-back", HIGH) | {
        "subject": {"reference": f"Patient/{clinic.patient}"},
        "extension": [names(made["red-flags"])],
    }
    assert clinic.post(wrong).status_code == 422
    assert steps(clinic, plan) == made


def test_whatever_was_sent_no_step_is_in_a_state_that_cannot_be(clinic):
    """Answers in time, again, amended, late and in error, views, a step declined; then `fhir-server check`."""
    plan = apply(clinic)
    made = steps(clinic, plan)
    clear_red_flags(clinic, made["red-flags"])
    send(clinic, made["baseline-start-back"], "start-back", HIGH)
    send(clinic, made["baseline-start-back"], "start-back", HIGH, status=200)
    send(clinic, made["baseline-start-back"], "start-back", LOW)
    rmdq = answered("rmdq", dict.fromkeys((f"q{n}" for n in range(1, 25)), "1")) | {
        "id": f"r{clinic.patient}",
        "subject": {"reference": f"Patient/{clinic.patient}"},
        "authored": "2026-03-02T08:30:00Z",
        "extension": [names(made["baseline-rmdq"])],
    }
    clinic.stored({**rmdq, "status": "in-progress"})
    clinic.stored(rmdq)
    clinic.stored({**rmdq, "status": "amended", "authored": "2026-03-02T08:40:00Z"})
    clinic.stored({**rmdq, "status": "entered-in-error"})
    view(clinic, made["welcome"])
    view(clinic, steps(clinic, plan)["myths"])
    declined = {"coding": [{"system": f"{BASE}/CodeSystem/msk-step-reason", "code": "declined"}]}
    clinic.stored({**steps(clinic, plan)["exercise-pack"], "status": "rejected", "statusReason": declined})
    clinic.now("2026-03-12T09:00:00+00:00")
    send(clinic, made["baseline-msk-hq"], "msk-hq", {f"q{n}": "2" for n in range(1, 15)})
    after = steps(clinic, plan)
    states = {name: after[name]["status"] for name in ("baseline-rmdq", "welcome", "myths", "baseline-msk-hq")}
    assert states == {
        "baseline-rmdq": "completed",
        "welcome": "completed",
        "myths": "completed",
        "baseline-msk-hq": "failed",
    }
    # The jobs of the 12th have not run, so windows are looked at as of the day they last did: the 2nd.
    clinic.now("2026-03-02T12:00:00+00:00")
    command = [sys.executable, "-m", "fhir_server.cli.main", "check", "--database", clinic.database]
    done = subprocess.run([*command, "--clock", str(clinic.clock)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def view(clinic, task):
    category = {"system": f"{BASE}/CodeSystem/msk-communication-category", "code": "resource-viewed"}
    answer = clinic.post(
        {
            "resourceType": "Communication",
            "status": "completed",
            "category": [{"coding": [category]}],
            "subject": {"reference": f"Patient/{clinic.patient}"},
            "about": [{"reference": f"Task/{task['id']}"}],
        }
    )
    assert (answer.status_code, said(answer)) == (201, [])
