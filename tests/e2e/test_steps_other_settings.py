"""Steps on a server without the shipped content, which scores every write: the same comes of it."""

from __future__ import annotations

import pytest

from tests.e2e.steps import BASE, is_step, refused, running_clinic


@pytest.fixture(scope="module")
def clinic_server(engine, new_database, tmp_path_factory):
    directory = tmp_path_factory.mktemp("clinic")
    with running_clinic(new_database(engine), directory, "--no-content", "--score-on-write") as clinic:
        yield clinic


def test_scores_are_stored_once_with_the_time_point_of_the_step(clinic):
    timepoint = {"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "baseline"}
    task = clinic.task(extension=[*is_step(), timepoint])
    assert clinic.post(clinic.answers(task)).status_code == 201
    assert clinic.read(f"Task/{task['id']}")["status"] == "completed"
    (score,) = clinic.found("Observation", code="oks.total")
    assert (score["extension"], score["meta"]["versionId"]) == ([timepoint], "1")


def test_the_step_of_a_response_is_known_without_the_search_parameter_of_outputs(clinic):
    task = clinic.task()
    sent = clinic.stored(clinic.answers(id=f"r{clinic.patient}"))
    done = clinic.read(f"Task/{task['id']}")
    assert done["status"] == "completed"
    assert refused(clinic.put({**sent, "status": "in-progress"}))[:2] == (422, "business-rule")
    clinic.stored({**sent, "status": "amended"})
    assert clinic.read(f"Task/{task['id']}") == done
