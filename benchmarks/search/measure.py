"""One named search under load: checked, at a fixed rate, in a closed loop, and what it touches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from statistics import mean, median
from typing import Any

from benchmarks.client import Load, arrive_in_process, drive_in_process, http_request
from benchmarks.plans import recorded_statements
from benchmarks.process import cpu_seconds
from benchmarks.search.prepared import Database
from benchmarks.search.queries import Search
from benchmarks.search.scans import full_scans
from benchmarks.search.touched import Touched, touched
from tests.live_server import LiveServer

RATE = 200
CONNECTIONS = 8
EXPLAINED = 10
"""Requests of a search whose statements are looked at one by one."""


@dataclass
class Latency:
    """Medians over runs."""

    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the server's processes, per request."""
    database_us: float
    """Of PostgreSQL's processes, per request; 0 on SQLite, whose work is the server's."""
    per_second: float
    kept_up: bool


@dataclass
class Measured:
    """All that was found out about one search."""

    refused: str = ""
    """Why the server does not answer it."""
    wrong: str = ""
    """What went wrong: it found something else than it must, or requests failed."""
    matches: float = 0
    """On the first page, on average."""
    arriving: Latency | None = None
    closed: Latency | None = None
    touched: Touched | None = None
    scans: list[str] = field(default_factory=list)


def measure(
    search: Search, server: LiveServer, database: Database, postgres_pid: int | None, *, seconds: float, runs: int
) -> Measured:
    targets = search.targets(database.facts)
    refused = refusal(server, targets[0])
    if refused:
        return Measured(refused)
    requests = [http_request("GET", target) for target in targets]
    pids = (server.pid, postgres_pid)
    statements = recorded_statements(database.url, targets[:EXPLAINED])
    try:
        return Measured(
            matches=mean(check(search, server, targets, database)),
            arriving=_runs(lambda: arrive_in_process(server.port, requests, RATE, seconds), search, pids, runs),
            closed=_runs(lambda: drive_in_process(server.port, requests, CONNECTIONS, seconds), search, pids, runs),
            touched=touched(database.url, database.path, statements),
            scans=sorted({scan for one in statements for scan in full_scans(database.url, one)}),
        )
    except RuntimeError as error:
        return Measured(wrong=str(error))


def _runs(drive: Callable[[], Load], search: Search, pids: tuple[int, int | None], runs: int) -> Latency:
    loads, cpu_us, database_us = [], [], []
    for _ in range(runs):
        own, its = map(_cpu, pids)
        load = drive()
        cpu_us.append((_cpu(pids[0]) - own) / load.requests * 1e6)
        database_us.append((_cpu(pids[1]) - its) / load.requests * 1e6)
        load.refuse_failures(search.name)
        loads.append(load)
    return Latency(
        median(load.latency_ms(50) for load in loads),
        median(load.latency_ms(99) for load in loads),
        median(cpu_us),
        median(database_us),
        median(load.per_second() for load in loads),
        all(load.kept_up for load in loads),
    )


def _cpu(pid: int | None) -> float:
    return 0.0 if pid is None else cpu_seconds(pid)


def refusal(server: LiveServer, target: str) -> str:
    """What the server says it cannot do; nothing when it answers the whole search."""
    status, body = next(_answers(server, [target]))
    outcomes = [body] if status != 200 else [
        entry["resource"] for entry in body.get("entry", ()) if entry["search"]["mode"] == "outcome"
    ]  # fmt: skip
    issues = [issue.get("diagnostics", issue["code"]) for outcome in outcomes for issue in outcome["issue"]]
    return "; ".join(issues)


def check(search: Search, server: LiveServer, targets: list[str], database: Database) -> list[int]:
    """Matches of each target. Raises RuntimeError when one does not find what it must."""
    found = []
    total = database.facts.counts[search.resource_type] if search.total is None else search.total
    for target, (status, body) in zip(targets, _answers(server, targets), strict=True):
        modes = [entry["search"]["mode"] for entry in body.get("entry", ())]
        matches, included = modes.count("match"), modes.count("include")
        wrong_total = "_total=accurate" in target and body.get("total") != total
        if status != 200 or matches < search.least or included < search.included or wrong_total:
            raise RuntimeError(f"{target}: {status}, {matches} matches, {included} included, {body.get('total')}")
        found.append(matches)
    return found


def _answers(server: LiveServer, targets: list[str]) -> Iterator[tuple[int, Any]]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    for target in targets:
        connection.request("GET", target)
        answer = connection.getresponse()
        yield answer.status, json.loads(answer.read())
    connection.close()
