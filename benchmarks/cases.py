"""Each figure of docs/benchmarks.md: what is sent, by how many, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.client import Load, drive_in_process
from benchmarks.process import cpu_seconds
from benchmarks.workload import BUNDLE_ENTRIES, Workload, creates, reads, searches, transactions
from tests.live_server import LiveServer

WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class Case:
    """One kind of request under load."""

    name: str
    requests: Callable[[Workload], list[bytes]]
    connections: int
    figure: str
    """What the target is about: `cpu_us` per request, or resources per second (`rate`)."""
    resources: int = 1
    """Resources that one request carries."""
    targets: tuple[float, float] = (0, 0)
    """On SQLite and on PostgreSQL."""


CASES = (
    Case("read by id", reads, 32, "cpu_us", targets=(120, 220)),
    Case("search patient+code+date, sorted, 20 entries", searches, 32, "cpu_us", targets=(450, 500)),
    Case("create one Observation, durable", creates, 16, "rate", targets=(1500, 900)),
    Case(
        f"transaction of {BUNDLE_ENTRIES} resources",
        lambda _: transactions(),
        4,
        "rate",
        resources=BUNDLE_ENTRIES,
        targets=(2500, 2500),
    ),
)


@dataclass
class Measured:
    """Medians over the runs of a case."""

    name: str
    cpu_us: float
    """Server CPU per request, microseconds."""
    rate: float
    """Resources (or answers) per second."""
    p50_ms: float
    p99_ms: float
    connections: int
    runs: int


def measure(case: Case, server: LiveServer, workload: Workload, *, seconds: float, runs: int) -> Measured:
    requests = case.requests(workload)
    drive_in_process(server.port, requests, case.connections, WARM_UP_SECONDS).refuse_failures(case.name)
    loads: list[Load] = []
    cpus: list[float] = []
    for _ in range(runs):
        before = cpu_seconds(server.pid)
        load = drive_in_process(server.port, requests, case.connections, seconds)
        cpus.append((cpu_seconds(server.pid) - before) / load.requests * 1e6)
        load.refuse_failures(case.name)
        loads.append(load)
    return Measured(
        case.name,
        cpu_us=median(cpus),
        rate=median(load.per_second() for load in loads) * case.resources,
        p50_ms=median(load.latency_ms(50) for load in loads),
        p99_ms=median(load.latency_ms(99) for load in loads),
        connections=case.connections,
        runs=runs,
    )
