"""Answering a step decides what comes next in its plan, in the same transaction, on a server of each engine.

The low back pain pathway: STarT Back's risk group opens one of three branches, once the red flags are clear.
"""

from __future__ import annotations

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


def send(clinic, task, instrument, answers):
    response = answered(instrument, answers)
    response |= {
        "subject": {"reference": f"Patient/{clinic.patient}"},
        "authored": "2026-03-02T08:30:00Z",
        "extension": [names(task)],
    }
    answer = clinic.post(response)
    assert answer.status_code == 201, answer.text
    return answer


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
