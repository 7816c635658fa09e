"""The rules of the workflow: a sound one breaks none, and every way to break one is told."""

from datetime import date

import pytest

from fhir_server.pathways.invariants import violations
from fhir_server.pathways.invariants.record import Moment, Record
from tests.pathways.violations import BROKEN, SOUND
from tests.pathways.workflow import BASE, OKS, TODAY, sound

NOW = Moment(date.fromisoformat(TODAY), date.fromisoformat(TODAY))


def found(workflow, moment=NOW):
    """(rule, resource) of each violation."""
    current = {reference: versions[-1] for reference, versions in workflow.items()}
    record = Record(
        BASE,
        "Europe/London",
        current.pop("Patient/p"),
        list(current.values()),
        workflow,
        lambda response: response["questionnaire"].startswith(OKS.partition("|")[0]),
    )
    return [(violation.rule, violation.resource) for violation in violations(record, moment)]


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_workflow_breaks_no_rule(name):
    workflow = sound()
    SOUND[name](workflow)
    assert found(workflow) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_workflow_is_told(name):
    told, break_it = BROKEN[name]
    workflow = sound()
    break_it(workflow)
    assert sorted(found(workflow)) == sorted(told)


def test_windows_have_until_the_jobs_have_run():
    """The day after its last, a step of the patient's waits for the job to close it; then it should be closed."""
    for today, settled, told in (
        ("2026-03-03", "2026-03-02", []),
        ("2026-03-03", "2026-03-03", [("available-late", "Task/seen"), ("planned-late", "Task/planned")]),
        ("2026-03-04", "2026-03-03", [("available-late", "Task/seen"), ("planned-late", "Task/planned")]),
    ):
        moment = Moment(date.fromisoformat(today), date.fromisoformat(settled))
        assert sorted(found(sound(), moment)) == told, (today, settled)


def test_a_step_that_waits_for_more_than_its_anchor_is_left_to_its_plan():
    """One that follows another step, or repeats, is dated by the pathway, not by the anchor alone."""
    workflow = sound()
    BROKEN["a window that its anchor does not give"][1](workflow)
    current = {reference: versions[-1] for reference, versions in workflow.items()}
    record = Record(BASE, "Europe/London", current.pop("Patient/p"), list(current.values()), workflow)
    assert [violation.rule for violation in violations(record, NOW)] == ["window-off"]
    record.waiting_for_more = frozenset({("CarePlan/plan", "seen")})
    assert list(violations(record, NOW)) == []
