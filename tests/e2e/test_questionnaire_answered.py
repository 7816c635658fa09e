"""A QuestionnaireResponse arrives: the step it answers is done, in one transaction, on a server of each engine.

R4 task.html#statemachine; SDC's Task profile: what is answered stands in Task.output as `questionnaire-response`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.steps import BASE, OKS, SDC, asks, is_step, names, refused, said, why

WINDOW = ("2026-02-20", "2026-03-10")
AUTHORED = "2026-03-01T09:30:00Z"
"""Of every response, unless it says otherwise."""


def output_of(task):
    """The references in Task.output that say they are responses."""
    kind = {"coding": [{"system": SDC, "code": "questionnaire-response"}]}
    return [one["valueReference"]["reference"] for one in task.get("output", ()) if one["type"] == kind]


def scores(clinic):
    return sorted(
        (one["valueQuantity"]["value"], one["status"]) for one in clinic.found("Observation", code="oks.total")
    )


def test_a_response_that_names_its_step_ends_it(clinic):
    task = clinic.task(window=WINDOW, extension=is_step())
    answer = clinic.post(clinic.answers(task))
    assert (answer.status_code, said(answer)) == (201, [])
    done = clinic.read(f"Task/{task['id']}")
    reference = "/".join(answer.headers["Location"].split("/")[-4:-2])
    assert (done["status"], output_of(done)) == ("completed", [reference])
    assert done["executionPeriod"] == {"start": AUTHORED, "end": AUTHORED}
    assert done["meta"]["versionId"] == "2"
    assert scores(clinic) == [(48, "final")]


def test_a_step_written_by_hand_is_found_by_its_questionnaire(clinic):
    task = clinic.task("ready")
    other = clinic.task(input=[asks("questionnaire", f"{BASE}/Questionnaire/ohs|1.0.0-neutral")])
    answer = clinic.post(clinic.answers())
    assert (answer.status_code, said(answer)) == (201, [])
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"
    assert clinic.read(f"Task/{other['id']}")["status"] == "requested"


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        (OKS, OKS.partition("|")[0], True),
        (OKS.partition("|")[0], OKS, True),
        (f"{OKS}-older", OKS, False),
        (f"{BASE}/Questionnaire/ohs", OKS, False),
    ],
)
def test_a_step_asks_for_its_version_or_for_any(clinic, asked, answered, same):
    task = clinic.task(input=[asks("questionnaire", asked)])
    answer = clinic.post(clinic.answers(questionnaire=answered))
    assert answer.status_code == 201
    assert len(said(answer)) == (0 if same else 1)
    assert clinic.read(f"Task/{task['id']}")["status"] == ("completed" if same else "requested")
    assert scores(clinic) == ([(48, "final")] if same else [])


def test_without_an_open_step_the_response_is_kept_with_a_warning(clinic):
    answer = clinic.post(clinic.answers())
    assert answer.status_code == 201
    (warning,) = said(answer)
    assert "No open step" in warning
    assert len(clinic.found("QuestionnaireResponse")) == 1


def test_with_several_open_steps_the_response_is_kept_and_they_are_named(clinic):
    tasks = [clinic.task(), clinic.task()]
    answer = clinic.post(clinic.answers())
    (warning,) = said(answer)
    assert answer.status_code == 201
    assert all(f"Task/{task['id']}" in warning for task in tasks)
    assert [clinic.read(f"Task/{task['id']}")["status"] for task in tasks] == ["requested"] * 2
    assert scores(clinic) == []


def test_answers_given_before_the_window_are_not_taken_for_the_step(clinic):
    task = clinic.task(window=("2026-03-02", "2026-03-10"))
    assert len(said(clinic.post(clinic.answers(authored="2026-03-01T12:00:00Z")))) == 1
    assert clinic.read(f"Task/{task['id']}")["status"] == "requested"


def test_scores_know_the_time_point_the_side_and_the_plan_of_their_step(clinic):
    """A client names its step; what the scores are read by is the pathway's to say, and $score says the same again."""
    timepoint = {"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "baseline"}
    side = {"url": f"{BASE}/StructureDefinition/msk-laterality", "valueCode": "left"}
    plan = {
        "resourceType": "CarePlan",
        "id": f"c{clinic.patient}",
        "extension": [side],
        "status": "active",
        "intent": "plan",
        "subject": {"reference": f"Patient/{clinic.patient}"},
    }
    clinic.stored(plan)
    reference = {"reference": f"CarePlan/{plan['id']}"}
    task = clinic.task(window=WINDOW, extension=[*is_step(), timepoint], basedOn=[reference])
    clinic.stored(clinic.answers(task, id=f"r{task['id']}"))
    (score,) = clinic.found("Observation", code="oks.total")
    assert score["extension"] == [timepoint, side]
    assert score["basedOn"] == [reference]
    given = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}
    url = f"QuestionnaireResponse/r{task['id']}/$score"
    assert clinic.client.post(url, json=given).status_code == 200
    assert clinic.found("Observation", code="oks.total") == [score]
    (shown,) = [
        entry["resource"]
        for entry in clinic.client.get(url).json()["entry"]
        if entry["resource"]["resourceType"] == "Observation" and "oks.total" in str(entry["resource"]["code"])
    ]
    assert shown["extension"] == [timepoint, side]


def test_what_the_response_says_of_its_time_point_stands(clinic):
    code = {"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "m6"}
    task = clinic.task(window=WINDOW, extension=[{**code, "valueCode": "baseline"}])
    clinic.post(clinic.answers(extension=[names(task), code]))
    (score,) = clinic.found("Observation", code="oks.total")
    assert score["extension"] == [code]


def test_answers_that_ended_no_step_have_none_of_its_time_point(clinic):
    timepoint = {"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "m6"}
    task = clinic.task("draft", ("2026-09-01", "2026-09-20"), extension=[timepoint])
    sent = clinic.stored(clinic.answers(task, id=f"r{task['id']}"))
    given = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}
    assert clinic.client.post(f"QuestionnaireResponse/{sent['id']}/$score", json=given).status_code == 200
    (score,) = clinic.found("Observation", code="oks.total")
    assert "extension" not in score


def test_saved_then_sent(clinic):
    """Resumed on another device: the step is started by the first save, done by the last."""
    task = clinic.task("ready", window=WINDOW, extension=is_step())
    draft = clinic.answers(task, id=f"r{task['id']}", status="in-progress")
    clinic.stored(draft)
    started = clinic.read(f"Task/{task['id']}")
    assert (started["status"], started["executionPeriod"], output_of(started)) == (
        "in-progress",
        {"start": AUTHORED},
        [],
    )
    clinic.stored({**draft, "authored": "2026-03-01T09:40:00Z"})
    assert clinic.read(f"Task/{task['id']}")["meta"]["versionId"] == started["meta"]["versionId"]
    clinic.stored({**draft, "status": "completed", "authored": "2026-03-01T10:00:00Z"})
    done = clinic.read(f"Task/{task['id']}")
    assert done["status"] == "completed"
    assert done["executionPeriod"] == {"start": AUTHORED, "end": "2026-03-01T10:00:00Z"}


def test_when_it_was_authored_counts_only_where_it_can_be(clinic):
    """Before the window, or in the future, nobody did the step: then the moment it arrived counts."""
    for authored in ("2026-02-19T12:00:00Z", "2026-03-02T10:00:00Z", "2026-03", None):
        task = clinic.task(window=WINDOW)
        clinic.post(clinic.answers(task, authored=authored))
        done = clinic.read(f"Task/{task['id']}")
        assert (done["status"], done["executionPeriod"]["end"]) == ("completed", "2026-03-02T09:00:00+00:00"), authored


def test_an_amendment_amends_the_scores_and_leaves_the_step(clinic):
    task = clinic.task(window=WINDOW)
    sent = clinic.stored(clinic.answers(task, id=f"r{task['id']}"))
    done = clinic.read(f"Task/{task['id']}")
    clinic.stored(clinic.answers(task, level=3, id=sent["id"], status="amended"))
    assert clinic.read(f"Task/{task['id']}") == done
    assert scores(clinic) == [(36, "amended")]
    assert len(clinic.client.get(f"QuestionnaireResponse/{sent['id']}/_history").json()["entry"]) == 2


def test_an_amendment_of_a_response_that_named_no_step_amends_too(clinic):
    clinic.task(window=WINDOW)
    sent = clinic.stored(clinic.answers(id=f"r{clinic.patient}"))
    answer = clinic.put(clinic.answers(level=3, id=sent["id"], status="amended"), Prefer="return=OperationOutcome")
    assert (answer.status_code, said(answer)) == (200, [])
    assert scores(clinic) == [(36, "amended")]


def test_a_response_in_error_leaves_the_step_done_and_another_takes_its_place(clinic):
    task = clinic.task(window=WINDOW)
    sent = clinic.stored(clinic.answers(task, id=f"r{task['id']}"))
    answer = clinic.put(
        clinic.answers(task, id=sent["id"], status="entered-in-error"), Prefer="return=OperationOutcome"
    )
    assert answer.status_code == 200
    assert any("takes its place" in text for text in said(answer))
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"
    assert scores(clinic) == [(48, "entered-in-error")]
    clinic.stored(clinic.answers(task, level=2, id=f"again-{task['id'][:30]}"))
    done = clinic.read(f"Task/{task['id']}")
    assert (done["status"], output_of(done)) == ("completed", [f"QuestionnaireResponse/again-{task['id'][:30]}"])
    assert scores(clinic) == [(24, "final"), (48, "entered-in-error")]


@pytest.mark.parametrize("status", ["in-progress", "stopped"])
def test_what_ended_a_step_does_not_become_unfinished(clinic, status):
    task = clinic.task(window=WINDOW)
    sent = clinic.stored(clinic.answers(task, id=f"r{task['id']}"))
    answer = clinic.put(clinic.answers(task, id=sent["id"], status=status))
    assert refused(answer) == (422, "business-rule", ["QuestionnaireResponse.status"])
    assert clinic.read(f"QuestionnaireResponse/{sent['id']}")["status"] == "completed"


def test_what_ended_a_step_does_not_become_of_another(clinic):
    task = clinic.task(window=WINDOW)
    sent = clinic.stored(clinic.answers(task, id=f"r{task['id']}"))
    other = clinic.task(window=WINDOW)
    answer = clinic.put(clinic.answers(other, id=sent["id"], status="amended"))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "business-rule")


def test_wrong_patient(clinic):
    task = clinic.task()
    mine = clinic.patient
    clinic.new_patient()
    answer = clinic.post(clinic.answers(task))
    assert refused(answer) == (422, "business-rule", ["QuestionnaireResponse.subject"])
    assert clinic.found("QuestionnaireResponse") == []
    clinic.patient = mine
    assert clinic.read(f"Task/{task['id']}") == task


def test_nobody_is_not_the_patient(clinic):
    answer = clinic.post(clinic.answers(clinic.task(), subject=None))
    assert refused(answer) == (422, "business-rule", ["QuestionnaireResponse.subject"])


def test_task_of_another_questionnaire(clinic):
    task = clinic.task(input=[asks("questionnaire", f"{BASE}/Questionnaire/ohs|1.0.0-neutral")])
    answer = clinic.post(clinic.answers(task))
    assert refused(answer) == (422, "business-rule", ["QuestionnaireResponse.questionnaire"])
    assert clinic.found("QuestionnaireResponse") == []


def test_task_that_asks_for_no_questionnaire(clinic):
    answer = clinic.post(clinic.answers(clinic.task(input=None)))
    assert refused(answer) == (422, "business-rule", ["QuestionnaireResponse.questionnaire"])


@pytest.mark.parametrize("reference", ["Task/nobody-made-it", "Patient/it-is-no-task", "https://example.org/Task/1"])
def test_task_that_is_not_there(clinic, reference):
    named = {"url": names({"id": "x"})["url"], "valueReference": {"reference": reference}}
    answer = clinic.post(clinic.answers(extension=[named]))
    place = f"QuestionnaireResponse.extension('{BASE}/StructureDefinition/msk-task').value.reference"
    assert refused(answer) == (422, "not-found", [place])


def test_closed_window(clinic):
    """Missed when its window closed; what comes after is kept and marked, and never makes it done."""
    reason = {"coding": [{"system": f"{BASE}/CodeSystem/msk-step-reason", "code": "window-closed"}]}
    task = clinic.task("failed", ("2026-02-01", "2026-02-28"), extension=is_step(), statusReason=reason)
    answer = clinic.post(clinic.answers(task))
    assert answer.status_code == 201
    assert any("marked late" in text for text in said(answer))
    late = clinic.read(f"Task/{task['id']}")
    assert (late["status"], why(late), len(output_of(late))) == ("failed", "answered-late", 1)
    assert scores(clinic) == [(48, "final")]


def test_closed_window_that_no_job_has_closed_yet(clinic):
    task = clinic.task("requested", ("2026-02-01", "2026-02-28"))
    assert any("marked late" in text for text in said(clinic.post(clinic.answers(task))))
    late = clinic.read(f"Task/{task['id']}")
    assert (late["status"], why(late)) == ("failed", "answered-late")


def test_staff_are_overdue_and_not_late(clinic):
    task = clinic.task(window=("2026-02-01", "2026-02-28"), owner={"display": "clinic"})
    assert said(clinic.post(clinic.answers(task))) == []
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"


def test_window_that_has_not_opened(clinic):
    task = clinic.task("draft", ("2026-03-03", "2026-03-20"), extension=is_step())
    answer = clinic.post(clinic.answers(task))
    assert answer.status_code == 201
    assert any("has not opened" in text for text in said(answer))
    assert clinic.read(f"Task/{task['id']}")["status"] == "draft"


def test_window_that_opened_today_and_no_job_has_run(clinic):
    task = clinic.task("draft", ("2026-03-02", "2026-03-20"), extension=is_step())
    assert said(clinic.post(clinic.answers(task, authored="2026-03-02T08:00:00Z"))) == []
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"


@pytest.mark.parametrize(
    ("now", "last", "status"),
    [
        # Europe/London: from GMT to BST on 29 March 2026, back on 25 October.
        ("2026-03-29T22:59:59Z", "2026-03-29", "completed"),
        ("2026-03-29T23:00:00Z", "2026-03-29", "failed"),
        ("2026-10-25T23:59:59Z", "2026-10-25", "completed"),
        ("2026-10-26T00:00:00Z", "2026-10-25", "failed"),
        ("2028-02-29T23:59:59Z", "2028-02-29", "completed"),
        ("2028-03-01T00:00:00Z", "2028-02-29", "failed"),
    ],
)
def test_clock_changes_and_leap_days(clinic, now, last, status):
    """A window ends with its last day in the server's zone, whatever UTC says."""
    task = clinic.task(window=("2026-02-20", last))
    clinic.now(now)
    clinic.post(clinic.answers(task))
    assert clinic.read(f"Task/{task['id']}")["status"] == status


@pytest.mark.parametrize("status", ["rejected", "cancelled"])
def test_a_step_that_has_ended_otherwise_stays(clinic, status):
    task = clinic.task(status)
    answer = clinic.post(clinic.answers(task))
    assert answer.status_code == 201
    assert any("end no step" in text for text in said(answer))
    assert clinic.read(f"Task/{task['id']}") == task


def test_the_same_submission_again_is_answered_with_the_first(clinic):
    task = clinic.task(window=WINDOW)
    first = clinic.post(clinic.answers(task))
    again = clinic.post(clinic.answers(task))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Location"] == first.headers["Location"]
    assert len(said(again, "information")) == 2
    assert len(clinic.found("QuestionnaireResponse")) == 1
    assert clinic.read(f"Task/{task['id']}")["meta"]["versionId"] == "2"
    assert scores(clinic) == [(48, "final")]


def test_other_answers_to_a_done_step_are_kept_and_end_nothing(clinic):
    """Given at the same time or not: answers that differ are never thrown away."""
    task = clinic.task(window=WINDOW)
    clinic.post(clinic.answers(task))
    done = clinic.read(f"Task/{task['id']}")
    for level, authored in ((3, AUTHORED), (4, "2026-03-01T09:31:00Z")):
        answer = clinic.post(clinic.answers(task, level=level, authored=authored))
        assert answer.status_code == 201
        assert any("end no step" in text for text in said(answer))
    assert clinic.read(f"Task/{task['id']}") == done
    assert len(clinic.found("QuestionnaireResponse")) == 3
    assert scores(clinic) == [(48, "final")]


def test_the_same_submission_under_another_id_is_kept_and_ends_nothing(clinic):
    """The client chose the id, and will look for it."""
    task = clinic.task(window=WINDOW)
    clinic.post(clinic.answers(task))
    done = clinic.read(f"Task/{task['id']}")
    again = clinic.put(clinic.answers(task, id=f"r{task['id']}"), Prefer="return=OperationOutcome")
    assert (again.status_code, len(said(again, "information"))) == (201, 2)
    assert clinic.read(f"Task/{task['id']}") == done
    assert scores(clinic) == [(48, "final")]


def test_one_submission_by_24_writers_at_once_is_stored_once(clinic):
    task = clinic.task(window=WINDOW)
    body = clinic.answers(task)

    def send(_):
        return clinic.client.post("QuestionnaireResponse", json=body)

    with ThreadPoolExecutor(24) as writers:
        answers = list(writers.map(send, range(24)))
    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(clinic.found("QuestionnaireResponse")) == 1
    assert clinic.read(f"Task/{task['id']}")["meta"]["versionId"] == "2"
    assert scores(clinic) == [(48, "final")]


def test_of_24_different_responses_at_once_one_ends_the_step(clinic):
    task = clinic.task(window=WINDOW)

    def send(minute):
        return clinic.post(clinic.answers(task, level=minute % 5, authored=f"2026-03-01T09:{minute:02}:00Z"))

    with ThreadPoolExecutor(24) as writers:
        answers = list(writers.map(send, range(24)))
    assert [answer.status_code for answer in answers] == [201] * 24
    assert sorted(len(said(answer)) for answer in answers) == [0] + [1] * 23
    assert len(clinic.found("QuestionnaireResponse", _count="50")) == 24
    done = clinic.read(f"Task/{task['id']}")
    assert (done["meta"]["versionId"], len(output_of(done))) == ("2", 1)
    level = int(clinic.read(output_of(done)[0])["item"][0]["answer"][0]["valueCoding"]["code"])
    assert scores(clinic) == [(12 * level, "final")]


def test_a_transaction_that_brings_the_step_and_its_answer(clinic):
    """The answer comes first: reactions wait until all is written."""
    patient = {"reference": f"Patient/{clinic.patient}"}
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "plan",
        "for": patient,
        "input": [asks("questionnaire", OKS)],
    }
    named = {**names({"id": "x"}), "valueReference": {"reference": "urn:uuid:6d0a1b0e-9c1e-4d5e-8d57-0d7c4f1d2a11"}}
    entries = [
        {"resource": clinic.answers(extension=[named]), "request": {"method": "POST", "url": "QuestionnaireResponse"}},
        {
            "fullUrl": "urn:uuid:6d0a1b0e-9c1e-4d5e-8d57-0d7c4f1d2a11",
            "resource": task,
            "request": {"method": "POST", "url": "Task"},
        },
    ]
    answer = clinic.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    (done,) = clinic.found("Task")
    assert (done["status"], len(output_of(done))) == ("completed", 1)
    assert scores(clinic) == [(48, "final")]


def test_a_transaction_with_an_answer_that_cannot_be_leaves_nothing(clinic):
    task = clinic.task()
    patient = {"resourceType": "Patient", "id": f"new{clinic.patient[:30]}"}
    wrong = clinic.answers(task, subject={"reference": f"Patient/{patient['id']}"})
    entries = [
        {"resource": patient, "request": {"method": "PUT", "url": f"Patient/{patient['id']}"}},
        {"resource": wrong, "request": {"method": "POST", "url": "QuestionnaireResponse"}},
    ]
    answer = clinic.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert refused(answer) == (422, "business-rule", ["Bundle.entry[1].resource.subject"])
    assert clinic.client.get(f"Patient/{patient['id']}").status_code == 404


def test_a_warning_reaches_the_entry_of_a_batch(clinic):
    entry = {"resource": clinic.answers(), "request": {"method": "POST", "url": "QuestionnaireResponse"}}
    headers = {"Prefer": "return=OperationOutcome"}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = clinic.client.post("", json=bundle, headers=headers).json()["entry"][0]["response"]
    assert answer["status"].startswith("201")
    assert any("No open step" in issue["diagnostics"] for issue in answer["outcome"]["issue"])


def test_score_with_persist_ends_the_step(clinic):
    """$score stores what it is sent, so the same happens."""
    task = clinic.task(window=WINDOW)
    given = [{"name": "persist", "valueBoolean": True}, {"name": "response", "resource": clinic.answers(task)}]
    answer = clinic.client.post("QuestionnaireResponse/$score", json={"resourceType": "Parameters", "parameter": given})
    assert answer.status_code == 200, answer.text
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"
    assert scores(clinic) == [(48, "final")]


def test_a_patch_ends_the_step(clinic):
    task = clinic.task(window=WINDOW)
    clinic.stored(clinic.answers(task, id=f"r{task['id']}", status="in-progress"))
    change = [{"op": "replace", "path": "/status", "value": "completed"}]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = clinic.client.patch(f"QuestionnaireResponse/r{task['id']}", content=json.dumps(change), headers=headers)
    assert answer.status_code == 200, answer.text
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"


def related(clinic, **elements):
    person = {
        "resourceType": "RelatedPerson",
        "id": f"rp{clinic.patient[:40]}",
        "patient": {"reference": f"Patient/{clinic.patient}"},
        **elements,
    }
    clinic.stored(person)
    return {"reference": f"RelatedPerson/{person['id']}"}


@pytest.mark.parametrize("elements", [{}, {"active": True}, {"period": {"start": "2026-01-01", "end": "2026-03-02"}}])
def test_a_carer_may_answer(clinic, elements):
    task = clinic.task(window=WINDOW)
    answer = clinic.post(clinic.answers(task, source=related(clinic, **elements)))
    assert (answer.status_code, said(answer)) == (201, [])
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"


@pytest.mark.parametrize(
    "elements",
    [
        {"active": False},
        {"period": {"end": "2026-03-01"}},
        {"patient": {"reference": "Patient/somebody-else"}},
    ],
)
def test_a_carer_who_may_not_answer(clinic, elements):
    task = clinic.task(window=WINDOW)
    answer = clinic.post(clinic.answers(task, source=related(clinic, **elements)))
    assert refused(answer) == (422, "business-rule", ["QuestionnaireResponse.source.reference"])
    assert clinic.found("QuestionnaireResponse") == []
    assert clinic.read(f"Task/{task['id']}") == task


def test_another_patient_does_not_answer(clinic):
    """R4 questionnaireresponse.html: source is who answers the questions about the subject."""
    task = clinic.task(window=WINDOW)
    other = {"resourceType": "Patient", "id": f"other{clinic.patient[:40]}"}
    clinic.stored(other)
    answer = clinic.post(clinic.answers(task, source={"reference": f"Patient/{other['id']}"}))
    assert refused(answer) == (422, "business-rule", ["QuestionnaireResponse.source.reference"])
    assert clinic.read(f"Task/{task['id']}") == task
    assert clinic.post(clinic.answers(task, source={"reference": f"Patient/{clinic.patient}"})).status_code == 201


def test_a_carer_who_is_not_there(clinic):
    answer = clinic.post(clinic.answers(clinic.task(), source={"reference": "RelatedPerson/nobody"}))
    assert refused(answer) == (422, "not-found", ["QuestionnaireResponse.source.reference"])


def test_a_newborn_and_a_hundred_year_old_answer_alike(clinic):
    for born in ("2026-03-02", "1926-03-02"):
        clinic.new_patient()
        clinic.stored({"resourceType": "Patient", "id": clinic.patient, "birthDate": born})
        task = clinic.task(window=WINDOW)
        assert clinic.post(clinic.answers(task)).status_code == 201
        assert clinic.read(f"Task/{task['id']}")["status"] == "completed"
