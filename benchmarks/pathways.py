"""What it costs to put a patient on a pathway, to move the plan and to show it: python -m benchmarks.pathways

CPU of the server's process per request, as the kernel counts it; PostgreSQL's own processes are not in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.database import fresh_database
from benchmarks.process import cpu_seconds
from benchmarks.report import ENGINES
from tests.live_server import LiveServer, running_server

Json = dict[str, Any]
KNEE = "knee-oa-arthroplasty-1.0.0"
BACK = "low-back-pain-1.0.0"
OTHERS = ("shoulder-pain-1.0.0", "chronic-pain-1.0.0", "hip-oa-arthroplasty-1.0.0")
"""With the two above, the plans of one patient's timeline."""
DAYS = {"received": "2026-01-05", "accepted": "2026-01-09"}
OPERATED = {**DAYS, "not-improving": "2026-02-20", "listed": "2026-02-23", "operation": "2026-09-01"}
FIRST = 20
"""Requests before the count: definitions are read and statements planned."""


def parameters(*given: Json, **anchors: str) -> Json:
    return {"resourceType": "Parameters", "parameter": [*given, *(anchor(*one) for one in anchors.items())]}


def anchor(event: str, day: str) -> Json:
    return {"name": "anchor", "part": [{"name": "event", "valueCode": event}, {"name": "date", "valueDate": day}]}


class Measurement:
    """One server, its patients, and the table rows of what they cost."""

    def __init__(self, server: LiveServer, engine: str, count: int) -> None:
        self._server = server
        self._engine = engine
        self._count = count
        self._http = httpx.Client(base_url=f"{server.base_url}/", timeout=60)

    def run(self) -> None:
        """`$apply` of both pathways, then `$replan` of the knee plans: to another day each time."""
        subjects = [f"Patient/b-{number}" for number in range(self._count + FIRST)]
        for subject in subjects:
            body = {"resourceType": "Patient", "id": subject.partition("/")[2], "birthDate": "1951-03-07"}
            self._http.put(subject, json=body).raise_for_status()
        named = [{"name": "subject", "valueString": subject} for subject in subjects]
        plans: list[str] = []

        def apply(plan: str, number: int, days: dict[str, str]) -> None:
            answer = self._http.post(f"PlanDefinition/{plan}/$apply", json=parameters(named[number], **days))
            answer.raise_for_status()
            plans.append(f"CarePlan/{answer.json()['id']}")

        self._measure("`$apply`, knee, 29 steps", lambda number: apply(KNEE, number, DAYS))
        knee = list(plans)
        self._measure("`$apply`, low back pain, 23 steps, 13 expressions", lambda number: apply(BACK, number, DAYS))

        def replan(number: int, days: dict[str, str]) -> None:
            self._http.post(f"{knee[number]}/$replan", json=parameters(**days)).raise_for_status()

        self._measure("`$replan`, knee, operation dated", lambda number: replan(number, OPERATED))
        again = {"operation": "2026-10-01"}
        self._measure("`$replan`, knee, operation moved", lambda number: replan(number, again))
        self._measure("`$replan`, nothing changes", lambda number: replan(number, again))
        for pathway in OTHERS:
            given = [{"name": "subject", "valueString": subjects[0]}]
            self._http.post(f"PlanDefinition/{pathway}/$apply", json=parameters(*given)).raise_for_status()
        steps = len(self._timeline(subjects[0])["entry"][0]["resource"]["entry"])
        self._measure(f"`$timeline`, 5 plans, {steps} steps", lambda number: self._timeline(subjects[0]))

    def _timeline(self, subject: str) -> Json:
        answer: Json = self._http.get(f"{subject}/$timeline").raise_for_status().json()
        return answer

    def _measure(self, what: str, act: Callable[[int], None]) -> None:
        for number in range(FIRST):
            act(number)
        before, started = cpu_seconds(self._server.pid), time.perf_counter()
        for number in range(FIRST, FIRST + self._count):
            act(number)
        spent, elapsed = cpu_seconds(self._server.pid) - before, time.perf_counter() - started
        each = f"{spent / self._count * 1e3:.1f} | {elapsed / self._count * 1e3:.1f}"
        print(f"| {what}, {self._engine} | {each} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--engine", choices=ENGINES, action="append")
    arguments = parser.parse_args()
    print("| one request after the other | server CPU, ms | elapsed, ms |")
    print("|---|---:|---:|")
    for engine in arguments.engine or ENGINES:
        with (
            fresh_database(engine) as database,
            tempfile.TemporaryDirectory() as folder,
            running_server(database, Path(folder)) as server,
        ):
            Measurement(server, engine, arguments.patients).run()


if __name__ == "__main__":
    main()
