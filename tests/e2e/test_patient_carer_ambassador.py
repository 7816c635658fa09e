"""Persona E: a patient uses the timeline, a carer answers, an ambassador reviews; without authorization.

Adapted: what a token would refuse with 403 is refused as a rule of the workflow where there is one (a carer who is
not active any more), and not at all where only a token could tell (an ambassador reading Patients). Who saw what is
not kept yet: the search of AuditEvent is answered, and empty. Measures and exports are not part of the workflow. A
SURE score below 4 is the decisional conflict that the clinician sees as a score.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest

from tests.e2e.simulation.answering import answer
from tests.e2e.simulation.person import consent, input_of, response_to, viewing
from tests.e2e.simulation.referral import Referral
from tests.e2e.simulation.world import BASE, World

TODAY = date(2026, 3, 2)
PATIENT = "Patient/e"
CARER = "RelatedPerson/carer"


@pytest.fixture(scope="module")
def world(engine, new_database, tmp_path_factory):
    world = World(new_database(engine), tmp_path_factory.mktemp("server"), TODAY)
    world.start()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def plan(world):
    """The patient on the knee pathway, accepted today."""
    world.directory()
    world.request("PUT", PATIENT, {"resourceType": "Patient", "id": "e", "active": True, "birthDate": "1955-05-05"})
    carer = {"resourceType": "RelatedPerson", "id": "carer", "active": True, "patient": {"reference": PATIENT}}
    world.request("PUT", CARER, carer)
    referral = Referral(world, Random(1), PATIENT, 5, "knee-oa-arthroplasty")
    referral.begin()
    referral.do("start-triage")
    referral.do("accept")
    (plan,) = world.search("CarePlan", patient=PATIENT, status="active")
    return plan


def step(world, action):
    """The Task of an action of the pathway, as it is now."""
    for task in world.search("Task", patient=PATIENT):
        if {"url": f"{BASE}/StructureDefinition/msk-step-action", "valueString": action} in task.get("extension", ()):
            return task
    raise AssertionError(f"there is no step {action}")


def form_of(world, task):
    url, _, version = input_of(task, "questionnaire").partition("|")
    (form,) = world.search("Questionnaire", url=url, version=version)
    return form


def answers_to(world, task, seed=1, **elements):
    form = form_of(world, task)
    return response_to(world, form, PATIENT, f"Task/{task['id']}", item=answer(form, Random(seed)), **elements)


def scores_of(world, response):
    return world.search("Observation", **{"derived-from": f"QuestionnaireResponse/{response['id']}"})


def test_1_the_welcome_is_done_when_it_is_first_seen(world, plan):
    welcome = step(world, "welcome")
    assert welcome["status"] == "requested"
    seen = world.request("POST", "Communication", viewing(world, PATIENT, welcome)).json()
    done = step(world, "welcome")
    assert done["status"] == "completed"
    assert [one["valueReference"]["reference"] for one in done["output"]] == [f"Communication/{seen['id']}"]


def test_1_answers_are_saved_resumed_elsewhere_and_amended(world, plan):
    task = step(world, "baseline-oks")
    saved = answers_to(world, task, status="in-progress")
    saved["item"] = saved["item"][:3]
    saved = world.request("POST", "QuestionnaireResponse", saved).json()
    assert step(world, "baseline-oks")["status"] == "in-progress"

    (resumed,) = world.search("QuestionnaireResponse", patient=PATIENT, status="in-progress")
    assert resumed["id"] == saved["id"]
    items = answer(form_of(world, task), Random(2))
    path = f"QuestionnaireResponse/{saved['id']}"
    world.request("PUT", path, {**resumed, "status": "completed", "item": items})
    done = step(world, "baseline-oks")
    assert done["status"] == "completed"
    assert [one["valueReference"]["reference"] for one in done["output"]] == [path]
    (before,) = [one for one in scores_of(world, saved) if one["code"]["coding"][0]["code"] == "oks.total"]
    assert before["status"] == "final"

    items = answer(form_of(world, task), Random(3))
    world.request("PUT", path, {**world.read(path), "status": "amended", "item": items})
    (after,) = [one for one in scores_of(world, saved) if one["code"]["coding"][0]["code"] == "oks.total"]
    assert after["status"] == "amended"
    assert after["valueQuantity"]["value"] == sum(int(one["answer"][0]["valueCoding"]["code"]) for one in items)
    for kept in (path, f"Observation/{after['id']}"):
        versions = [entry["resource"]["status"] for entry in world.read(f"{kept}/_history")["entry"]]
        assert {"completed", "amended"} <= set(versions) or {"final", "amended"} <= set(versions), kept
    assert step(world, "baseline-oks") == done


def test_2_a_carer_answers_until_consent_is_withdrawn(world, plan):
    task = step(world, "baseline-msk-hq")
    given = answers_to(world, task, source={"reference": CARER})
    stored = world.request("POST", "QuestionnaireResponse", given).json()
    assert (stored["source"]["reference"], stored["subject"]["reference"]) == (CARER, PATIENT)
    assert step(world, "baseline-msk-hq")["status"] == "completed"

    world.request("PUT", CARER, {**world.read(CARER), "active": False})
    task = step(world, "baseline-eq-5d-5l")
    refused = world.request(
        "POST", "QuestionnaireResponse", answers_to(world, task, source={"reference": CARER}), expect=(422,)
    ).json()
    assert refused["issue"][0]["expression"] == ["QuestionnaireResponse.source.reference"]
    assert step(world, "baseline-eq-5d-5l")["status"] == "requested"


def test_2_somebody_elses_carer_is_refused(world, plan):
    stranger = {
        "resourceType": "RelatedPerson",
        "id": "stranger",
        "active": True,
        "patient": {"reference": "Patient/x"},
    }
    world.request("PUT", "RelatedPerson/stranger", stranger)
    task = step(world, "baseline-eq-5d-5l")
    given = answers_to(world, task, source={"reference": "RelatedPerson/stranger"})
    world.request("POST", "QuestionnaireResponse", given, expect=(422,))


def test_3_who_saw_my_answers_is_answered(world, plan):
    assert world.search("AuditEvent", patient=PATIENT, _sort="-date") == []


def test_4_the_decision_aid_is_read_in_its_version_and_the_values_answered(world, plan):
    event = [{"name": "event", "valueCode": "not-improving"}, {"name": "date", "valueDate": world.today.isoformat()}]
    world.call(f"CarePlan/{plan['id']}/$replan", {"name": "anchor", "part": event})
    aid = step(world, "decision-aid")
    assert aid["status"] == "requested"
    assert input_of(aid, "resource") == f"{BASE}/Library/knee-decision-aid|1.0.0"
    world.request("POST", "Communication", viewing(world, PATIENT, aid))
    assert step(world, "decision-aid")["status"] == "completed"

    world.set_clock(world.today + timedelta(days=7))
    world.run_jobs()
    sure = step(world, "sure")
    assert sure["status"] == "requested"
    given = answers_to(world, sure)
    for index, item in enumerate(given["item"]):
        system = f"{BASE}/CodeSystem/sure-answer"
        item["answer"] = [{"valueCoding": {"system": system, "code": "1" if index else "0"}}]
    stored = world.request("POST", "QuestionnaireResponse", given).json()
    scores = {one["code"]["coding"][0]["code"]: one for one in scores_of(world, stored)}
    assert scores["sure.total"]["valueQuantity"]["value"] == 3
    conflict = scores["sure.decisional_conflict"]["valueCodeableConcept"]
    assert conflict["text"] == "yes"


def test_5_opting_out_of_reminders_and_then_of_the_pathway(world, plan):
    world.request("POST", "Consent", consent(world, PATIENT, "reminders"))
    world.request("POST", "Consent", consent(world, PATIENT, "research"))
    before = len(world.search("Communication", patient=PATIENT, status="preparation"))
    world.set_clock(world.today + timedelta(days=4))
    world.run_jobs()
    assert len(world.search("Communication", patient=PATIENT, status="preparation")) <= before
    assert world.search("Task", patient=PATIENT, status="requested") != []

    world.request("POST", "Consent", consent(world, PATIENT, "pathway"))
    steps = [task for task in world.search("Task", patient=PATIENT) if "instantiatesCanonical" in task]
    assert {task["status"] for task in steps} <= {"completed", "failed", "cancelled"}
    reasons = {task["statusReason"]["coding"][0]["code"] for task in steps if task["status"] == "cancelled"}
    assert "opted-out" in reasons
    assert world.read(f"CarePlan/{plan['id']}")["status"] == "revoked"


def test_6_an_ambassador_signs_the_review_of_a_resource(world, plan):
    (library,) = world.search("Library", url=f"{BASE}/Library/knee-decision-aid")
    reviewed = {
        **library,
        "lastReviewDate": world.today.isoformat(),
        "reviewer": [*library["reviewer"], {"name": "Another ambassador (sample)"}],
    }
    why = {
        "resourceType": "Provenance",
        "target": [{"reference": f"Library/{library['id']}"}],
        "recorded": world.now.isoformat(),
        "activity": {"text": "Reviewed by a patient ambassador"},
        "agent": [{"type": {"text": "patient ambassador"}, "who": {"display": "Another ambassador (sample)"}}],
    }
    entries = [
        {"resource": reviewed, "request": {"method": "PUT", "url": f"Library/{library['id']}"}},
        {"resource": why, "request": {"method": "POST", "url": "Provenance"}},
    ]
    world.request("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    stored = world.read(f"Library/{library['id']}")
    assert stored["reviewer"][-1]["name"] == "Another ambassador (sample)"
    (signed,) = world.search("Provenance", target=f"Library/{library['id']}")
    assert signed["agent"][0]["who"]["display"] == "Another ambassador (sample)"


def test_the_workflow_is_sound_in_the_end(world, plan):
    world.run_jobs()
    assert world.findings() == ""
