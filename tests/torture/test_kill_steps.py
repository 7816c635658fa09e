"""kill -9 while patients answer: a step is done with its response and its score, or nothing of it is there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.steps import OKS, asks, names
from tests.instruments.responses import response
from tests.live_server import start_server
from tests.torture.writers import TIMEOUT, check_database

Json = dict[str, Any]
WRITERS = 12


def patient_and_step(name: str) -> list[Json]:
    patient = {"reference": f"Patient/{name}"}
    task: Json = {"resourceType": "Task", "id": name, "status": "requested", "intent": "plan", "for": patient}
    task |= {"owner": patient, "input": [asks("questionnaire", OKS)]}
    resources: list[Json] = [{"resourceType": "Patient", "id": name}, task]
    return [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{name}"}} for one in resources
    ]


@pytest.mark.parametrize("steps", [120, pytest.param(2000, marks=pytest.mark.torture)])
def test_no_step_is_half_done(database_url, tmp_path, steps):
    ids = [f"k{number}" for number in range(steps)]
    server = start_server(database_url, tmp_path, "--no-content")
    acknowledged: set[str] = set()
    try:
        entries = [entry for name in ids for entry in patient_and_step(name)]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert httpx.post(server.base_url, json=bundle, timeout=TIMEOUT).status_code == 200

        def answer(name: str) -> None:
            subject = {"reference": f"Patient/{name}"}
            body = response("oks", [4] * 12, id=name, subject=subject, extension=[names({"id": name})])
            try:
                if client.put(f"{base_url}/QuestionnaireResponse/{name}", json=body).status_code == 201:
                    acknowledged.add(name)
            except httpx.TransportError:
                return
            if len(acknowledged) >= steps // 3 and server.process.poll() is None:
                server.kill()

        base_url = server.base_url
        with httpx.Client(timeout=TIMEOUT) as client, ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(answer, ids))
        server = start_server(database_url, tmp_path, "--no-content")
        with httpx.Client(base_url=server.base_url, timeout=TIMEOUT) as client:
            done = {name for name in ids if whole(client, name)}
        assert server.stop() == 0
    finally:
        server.kill()
    assert steps // 3 <= len(acknowledged) < steps
    assert acknowledged <= done
    check_database(database_url)


def whole(client: httpx.Client, name: str) -> bool:
    """Whether the step is done; all of it must be there, or nothing."""
    task = client.get(f"Task/{name}").json()
    answered = client.get(f"QuestionnaireResponse/{name}").status_code == 200
    scores = client.get("Observation", params={"patient": name}).json().get("entry", [])
    done: bool = task["status"] == "completed"
    assert (answered, len(scores), len(task.get("output", []))) == ((True, 1, 1) if done else (False, 0, 0)), name
    return done
