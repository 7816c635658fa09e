"""What it costs that a response ends a step: python -m benchmarks.steps

CPU of the server's process per QuestionnaireResponse created, as the kernel counts it; PostgreSQL's own processes are
not in it. The Oxford Knee Score, 12 answers, among 10,000 open steps of other patients.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from benchmarks.database import fresh_database
from benchmarks.process import cpu_seconds
from benchmarks.report import ENGINES
from tests.e2e.steps import OKS, asks, names
from tests.instruments.responses import answered, response
from tests.live_server import LiveServer, running_server

Json = dict[str, Any]
FIRST = 20
"""Requests before the count: forms and rules are read and statements planned."""
CROWD = 10_000
START_BACK = {"q1": 1, "q2": 1, "q3": 1, "q4": 1, "q5": 0, "q6": 0, "q7": 0, "q8": 0, "q9": 0}
"""Medium risk."""


def step(patient: str, number: int, status: str) -> Json:
    reference = {"reference": f"Patient/{patient}"}
    made: Json = {"resourceType": "Task", "id": f"{patient}-{number}", "status": status, "intent": "plan"}
    return made | {"for": reference, "owner": reference, "input": [asks("questionnaire", OKS)]}


class Measurement:
    """One server and the table rows of what its patients' responses cost."""

    def __init__(self, server: LiveServer, engine: str, count: int) -> None:
        self._server = server
        self._engine = engine
        self._count = count
        self._http = httpx.Client(base_url=f"{server.base_url}/", timeout=120)

    def run(self) -> None:
        self._store(step(f"crowd-{number % 2000}", number, "requested") for number in range(CROWD))
        anonymous = [response("oks", [3] * 12) for _ in range(self._count + FIRST)]
        for body in anonymous:
            del body["subject"]
        self._measure("of nobody: stored, and nothing looked for", anonymous)
        self._measure("no open step", [self._response(f"none-{number}") for number in self._numbers()])
        for ended in (0, 100, 1000):
            for named in (True, False):
                patients = [f"{'n' if named else 'f'}{ended}-{number}" for number in self._numbers()]
                if ended == 1000:
                    patients = patients[: FIRST + 30]
                self._store(step(one, number, "completed") for one in patients for number in range(1, ended + 1))
                self._store(step(one, 0, "requested") for one in patients)
                responses = [self._response(one) for one in patients]
                for patient, body in zip(patients, responses, strict=True):
                    if named:
                        body["extension"] = [names({"id": f"{patient}-0"})]
                how = "names its step" if named else "its step is found"
                self._measure(f"{how}, beside {ended} ended ones", responses)
        self._measure("STarT Back, ends a step of the low back pain plan", list(self._in_plans()))

    def _numbers(self) -> range:
        return range(self._count + FIRST)

    def _response(self, patient: str) -> Json:
        return response("oks", [3] * 12, subject={"reference": f"Patient/{patient}"})

    def _in_plans(self) -> Iterator[Json]:
        for number in self._numbers():
            patient = f"plan-{number}"
            self._http.put(f"Patient/{patient}", json={"resourceType": "Patient", "id": patient}).raise_for_status()
            given = [{"name": "subject", "valueString": f"Patient/{patient}"}]
            parameters = {"resourceType": "Parameters", "parameter": given}
            url = "PlanDefinition/low-back-pain-1.0.0/$apply"
            self._http.post(url, json=parameters).raise_for_status()
            yield (
                answered("start-back", START_BACK)
                | {"subject": {"reference": f"Patient/{patient}"}}
                | {"authored": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
            )

    def _store(self, resources: Iterator[Json]) -> None:
        while some := list(islice(resources, 500)):
            entries = [{"resource": one, "request": {"method": "PUT", "url": f"Task/{one['id']}"}} for one in some]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            self._http.post("", json=bundle).raise_for_status()

    def _measure(self, what: str, responses: list[Json]) -> None:
        for body in responses[:FIRST]:
            self._http.post("QuestionnaireResponse", json=body).raise_for_status()
        counted = responses[FIRST:]
        before, started = cpu_seconds(self._server.pid), time.perf_counter()
        for body in counted:
            self._http.post("QuestionnaireResponse", json=body).raise_for_status()
        spent, elapsed = cpu_seconds(self._server.pid) - before, time.perf_counter() - started
        each = f"{spent / len(counted) * 1e3:.1f} | {elapsed / len(counted) * 1e3:.1f}"
        print(f"| {what}, {self._engine} | {each} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=300)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    arguments = parser.parse_args()
    print("| one response after the other | server CPU, ms | elapsed, ms |")
    print("|---|---:|---:|")
    for engine in arguments.engine or ENGINES:
        with (
            fresh_database(engine) as database,
            tempfile.TemporaryDirectory() as folder,
            running_server(database, Path(folder)) as server,
        ):
            Measurement(server, engine, arguments.responses).run()


if __name__ == "__main__":
    main()
