"""The invariants over a whole store: every broken workflow is found among sound ones, on both engines."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest

from fhir_server.operations.workflow_check import workflow_violations
from fhir_server.pathways.invariants.record import Moment
from tests.pathways.violations import BROKEN, SOUND
from tests.pathways.workflow import TODAY, sound

NOW = Moment(date.fromisoformat(TODAY), date.fromisoformat(TODAY))
BOOKED = {
    "resourceType": "Appointment",
    "status": "booked",
    "slot": [{"reference": "Slot/s"}],
    "participant": [{"actor": {"reference": "Patient/x"}, "status": "accepted"}],
}
SLOT = {"resourceType": "Slot", "id": "s", "schedule": {"reference": "Schedule/x"}, "status": "busy"}
SLOT |= {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T09:30:00Z"}


def renamed(workflow, prefix):
    """The workflow of another patient: every id in it has the prefix."""
    ids = "|".join(reference.partition("/")[2] for reference in workflow)
    text = re.sub(rf'"(\w+)/({ids})(/_history/\d+)?"', rf'"\1/{prefix}-\2\3"', json.dumps(workflow))
    return json.loads(text.replace('"id": "', f'"id": "{prefix}-'))


async def store(put, workflow):
    for versions in workflow.values():
        for version in versions:
            await put(version)


async def found(server):
    return sorted([(one.rule, one.resource) async for one in workflow_violations(server, NOW)])


async def test_each_broken_workflow_is_found_among_sound_ones(server, put):
    expected = []
    for number, (name, break_it) in enumerate([*SOUND.items(), *((name, one[1]) for name, one in BROKEN.items())]):
        workflow = sound()
        break_it(workflow)
        await store(put, renamed(workflow, f"n{number}"))
        for rule, resource in BROKEN.get(name, ((), None))[0]:
            expected.append((rule, resource.replace("/", f"/n{number}-")))
    assert await found(server) == sorted(expected)


async def test_a_plan_of_nobody_is_found(server, put, delete):
    await store(put, sound())
    await delete("Patient", "p")
    assert await found(server) == [("plan-of-nobody", "CarePlan/plan")]


@pytest.mark.parametrize(
    ("appointments", "status", "told"),
    [
        (["booked"], "busy", []),
        (["booked", "cancelled"], "busy", []),
        (["booked", "proposed"], "busy", []),
        (["booked", "booked"], "busy", ["slot-twice"]),
        (["fulfilled", "pending"], "busy", ["slot-twice"]),
        (["booked"], "free", ["slot-free"]),
        (["cancelled"], "free", []),
    ],
)
async def test_a_slot_is_taken_once(server, put, appointments, status, told):
    await put({**SLOT, "status": status})
    await put(*({**BOOKED, "id": f"a{n}", "status": one} for n, one in enumerate(appointments)))
    assert await found(server) == [(rule, "Slot/s") for rule in told]


def test_every_rule_is_described(repository):
    described = (repository / "docs/workflow-check.md").read_text()
    rules = {rule for told, _ in BROKEN.values() for rule, _ in told} | {"plan-of-nobody", "slot-twice", "slot-free"}
    assert [rule for rule in sorted(rules) if f"`{rule}`" not in described] == []
