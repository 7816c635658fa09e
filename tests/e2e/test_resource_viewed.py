"""The patient views something: a Communication ends the step that asks for it, on a server of each engine."""

from __future__ import annotations

import pytest

from tests.e2e.steps import BASE, GUIDE, asks, is_step, refused, said, why

LIBRARY = {
    "resourceType": "Library",
    "id": "test-guide",
    "url": GUIDE.partition("|")[0],
    "version": "1.0.0",
    "status": "active",
    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/library-type", "code": "asset-collection"}]},
}
SEEN = "2026-03-01T20:15:00Z"


@pytest.fixture(autouse=True)
def library(clinic):
    clinic.stored(LIBRARY)


def step(clinic, status="requested", window=None, **elements):
    return clinic.task(status, window, **{"extension": is_step(), "input": [asks("resource", GUIDE)], **elements})


def view(clinic, task=None, **elements):
    made = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [
            {"coding": [{"system": f"{BASE}/CodeSystem/msk-communication-category", "code": "resource-viewed"}]}
        ],
        "subject": {"reference": f"Patient/{clinic.patient}"},
        "received": SEEN,
        "payload": [{"contentReference": {"reference": "Library/test-guide"}}],
        **elements,
    }
    if task:
        made["about"] = [{"reference": f"Task/{task['id']}"}]
    return {key: value for key, value in made.items() if value is not None}


def test_a_view_that_names_its_step_ends_it(clinic):
    task = step(clinic)
    answer = clinic.post(view(clinic, task, payload=None))
    assert (answer.status_code, said(answer)) == (201, [])
    done = clinic.read(f"Task/{task['id']}")
    assert (done["status"], done["executionPeriod"]["end"]) == ("completed", SEEN)
    reference = "/".join(answer.headers["Location"].split("/")[-4:-2])
    assert [one["valueReference"]["reference"] for one in done["output"]] == [reference]


@pytest.mark.parametrize("asked", [GUIDE, GUIDE.partition("|")[0]])
def test_a_view_of_a_library_ends_the_one_step_that_asks_for_it(clinic, asked):
    task = step(clinic, input=[asks("resource", asked)])
    other = step(clinic, input=[asks("resource", f"{BASE}/Library/another|1.0.0")])
    assert said(clinic.post(view(clinic))) == []
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"
    assert clinic.read(f"Task/{other['id']}")["status"] == "requested"


def test_received_is_enough(clinic):
    task = step(clinic)
    clinic.post(view(clinic, task, status="in-progress"))
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"


@pytest.mark.parametrize(
    "elements",
    [
        {"status": "in-progress", "received": None},
        {"status": "entered-in-error"},
        {"status": "not-done"},
        {"category": None},
    ],
)
def test_what_is_no_view_ends_nothing(clinic, elements):
    task = step(clinic)
    assert clinic.post(view(clinic, task, **elements)).status_code == 201
    assert clinic.read(f"Task/{task['id']}")["status"] == "requested"


def test_none_or_several_open_steps(clinic):
    assert len(said(clinic.post(view(clinic)))) == 1
    tasks = [step(clinic), step(clinic)]
    (warning,) = said(clinic.post(view(clinic)))
    assert all(f"Task/{task['id']}" in warning for task in tasks)
    assert [clinic.read(f"Task/{task['id']}")["status"] for task in tasks] == ["requested"] * 2


def test_viewed_again(clinic):
    task = step(clinic)
    clinic.post(view(clinic, task))
    done = clinic.read(f"Task/{task['id']}")
    answer = clinic.post(view(clinic, task, received="2026-03-01T21:00:00Z"))
    assert (answer.status_code, len(said(answer, "information"))) == (201, 2)
    assert clinic.read(f"Task/{task['id']}") == done


def test_viewed_late_and_early(clinic):
    late = step(clinic, "requested", ("2026-02-01", "2026-02-28"))
    assert any("has closed" in text for text in said(clinic.post(view(clinic, late))))
    missed = clinic.read(f"Task/{late['id']}")
    assert (missed["status"], why(missed), len(missed["output"])) == ("failed", "answered-late", 1)
    early = step(clinic, "draft", ("2026-03-03", "2026-03-20"))
    assert any("has not opened" in text for text in said(clinic.post(view(clinic, early))))
    assert clinic.read(f"Task/{early['id']}")["status"] == "draft"


def test_wrong_patient(clinic):
    task = step(clinic)
    clinic.new_patient()
    answer = clinic.post(view(clinic, task))
    assert refused(answer) == (422, "business-rule", ["Communication.subject"])
    assert clinic.found("Communication") == []


def test_task_that_asks_for_something_else(clinic):
    answer = clinic.post(view(clinic, clinic.task()))
    assert refused(answer) == (422, "business-rule", ["Communication.about.reference"])


def test_task_that_is_not_there(clinic):
    answer = clinic.post(view(clinic, {"id": "nobody-made-it"}))
    assert refused(answer) == (422, "not-found", ["Communication.about.reference"])
