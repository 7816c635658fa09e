"""Prometheus metrics, cheap enough for every request and added up over all worker processes.

With several workers prometheus_client keeps each process's values in files of a common directory
(PROMETHEUS_MULTIPROC_DIR, set by the supervisor before this module is imported); any worker answers
for all. Names and labels are listed in docs/api/http.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

MULTIPROCESS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

_registry = CollectorRegistry()
_requests = Counter(
    "fhir_requests", "Requests answered, by interaction and status.", ["interaction", "status"], registry=_registry
)
_seconds = Histogram(
    "fhir_request_seconds",
    "Time from the request's head to the end of the answer.",
    ["interaction"],
    buckets=SECONDS,
    registry=_registry,
)
_in_flight = Gauge(
    "fhir_requests_in_flight", "Requests being answered.", registry=_registry, multiprocess_mode="livesum"
)
_group_size = Histogram("fhir_write_group_size", "Writes committed together.", buckets=GROUP_SIZES, registry=_registry)
_request_children: dict[tuple[str, int], Counter] = {}
_seconds_children: dict[str, Histogram] = {}


def request_started() -> None:
    _in_flight.inc()


def request_finished(interaction: str, status: int, seconds: float) -> None:
    _in_flight.dec()
    # labels() costs more than the increment: keep the children.
    counter = _request_children.get((interaction, status))
    if counter is None:
        counter = _request_children[interaction, status] = _requests.labels(interaction, str(status))
    counter.inc()
    histogram = _seconds_children.get(interaction)
    if histogram is None:
        histogram = _seconds_children[interaction] = _seconds.labels(interaction)
    histogram.observe(seconds)


def write_group_committed(size: int) -> None:
    """Count one commit of `size` writes."""
    _group_size.observe(size)


def forget_process(pid: int) -> None:
    """A worker ended: its in-flight gauge goes, what it counted stays."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def render() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = _registry
    if MULTIPROCESS_DIRECTORY in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(_processes)


class _ProcessCollector(Collector):
    """CPU time and resident memory of every live worker, read from the system when asked."""

    def collect(self) -> Iterator[Metric]:
        cpu = CounterMetricFamily("fhir_process_cpu_seconds", "CPU time used.", labels=["pid"])
        memory = GaugeMetricFamily("fhir_process_resident_bytes", "Resident memory.", labels=["pid"])
        for pid in _worker_pids():
            try:
                # Fields 14 and 15 of proc(5) stat count from after the name, which may hold spaces.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
            cpu.add_metric([str(pid)], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
            memory.add_metric([str(pid)], pages * os.sysconf("SC_PAGE_SIZE"))
        yield cpu
        yield memory


def _worker_pids() -> list[int]:
    directory = os.environ.get(MULTIPROCESS_DIRECTORY)
    if directory is None:
        return [os.getpid()]
    # The supervisor removes a dead worker's live gauges (mark_process_dead), so these are the living.
    return sorted(int(path.stem.rpartition("_")[2]) for path in Path(directory).glob("gauge_livesum_*.db"))


_processes = CollectorRegistry()
_processes.register(_ProcessCollector())
