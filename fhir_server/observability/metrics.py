"""Prometheus metrics, cheap enough for every request and added up over all worker processes.

A process counts in plain arrays (0.5 µs a request; prometheus_client's own counters take 5). With several
workers each writes its numbers every second to a file of its own in a common directory, and whichever
worker is asked adds them up: `share` and `publish`. The files of ended workers stay, so that sums never
fall. Names and labels are listed in docs/api/http.md.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Distribution(msgspec.Struct):
    """How many observations fell below each bound (the last count: above all), and their sum."""

    counts: list[int]
    total: float = 0.0

    def observe(self, bounds: tuple[float, ...], value: float) -> None:
        self.counts[bisect_left(bounds, value)] += 1
        self.total += value

    def add(self, other: Distribution) -> None:
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class ProcessNumbers(msgspec.Struct):
    """What one process counted."""

    pid: int
    requests: dict[str, dict[int, int]] = {}
    """Per interaction and status."""
    seconds: dict[str, Distribution] = {}
    """Per interaction."""
    group_sizes: Distribution = msgspec.field(default_factory=lambda: Distribution([0] * (len(GROUP_SIZES) + 1)))
    in_flight: int = 0


_own = ProcessNumbers(os.getpid())
_directory: Path | None = None


def request_finished(interaction: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    try:
        _own.requests[interaction][status] += 1
        _own.seconds[interaction].observe(SECONDS, seconds)
    except KeyError:
        _own.requests.setdefault(interaction, {}).setdefault(status, 0)
        _own.seconds.setdefault(interaction, Distribution([0] * (len(SECONDS) + 1)))
        request_finished(interaction, status, seconds)


def write_group_committed(size: int) -> None:
    """Count one commit of `size` writes."""
    _own.group_sizes.observe(GROUP_SIZES, size)


def share(directory: Path) -> None:
    """Count for this process alone from now on, and exchange numbers with others through `directory`."""
    global _own, _directory  # noqa: PLW0603 (the numbers are the process's)
    _own = ProcessNumbers(os.getpid())
    _directory = directory


def publish(in_flight: int) -> None:
    """Let the other workers see this one's numbers as they are now."""
    _own.in_flight = in_flight
    if _directory is not None:
        new = _directory / f"{_own.pid}.new"
        new.write_bytes(msgspec.msgpack.encode(_own))
        new.replace(_directory / f"{_own.pid}.numbers")


def render() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Numbers(_all_processes()))
    return generate_latest(registry)


def _all_processes() -> list[ProcessNumbers]:
    others: list[ProcessNumbers] = []
    for path in _directory.glob("*.numbers") if _directory is not None else ():
        if path.stem != str(_own.pid):
            others.append(msgspec.msgpack.decode(path.read_bytes(), type=ProcessNumbers))
    return [_own, *others]


class _Numbers(Collector):
    """The sum over `processes` as Prometheus' metric families."""

    def __init__(self, processes: list[ProcessNumbers]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        yield self._requests()
        yield self._seconds()
        sizes = HistogramMetricFamily("fhir_write_group_size", "Writes committed together.")
        _add(sizes, [], GROUP_SIZES, (process.group_sizes for process in self._processes))
        yield sizes
        yield from self._live()

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            "fhir_requests", "Requests answered, by interaction and status.", labels=["interaction", "status"]
        )
        totals: dict[tuple[str, int], int] = {}
        for process in self._processes:
            for interaction, statuses in process.requests.items():
                for status, number in statuses.items():
                    totals[interaction, status] = totals.get((interaction, status), 0) + number
        for (interaction, status), number in sorted(totals.items()):
            family.add_metric([interaction, str(status)], number)
        return family

    def _seconds(self) -> Metric:
        family = HistogramMetricFamily(
            "fhir_request_seconds", "Time from the request's head to the end of the answer.", labels=["interaction"]
        )
        for interaction in sorted({name for process in self._processes for name in process.seconds}):
            found = [process.seconds[interaction] for process in self._processes if interaction in process.seconds]
            _add(family, [interaction], SECONDS, found)
        return family

    def _live(self) -> Iterator[Metric]:
        in_flight = GaugeMetricFamily("fhir_requests_in_flight", "Requests being answered.", labels=["pid"])
        cpu = CounterMetricFamily("fhir_process_cpu_seconds", "CPU time used.", labels=["pid"])
        memory = GaugeMetricFamily("fhir_process_resident_bytes", "Resident memory.", labels=["pid"])
        for process in self._processes:
            pid = str(process.pid)
            try:
                # Fields 14 and 15 of proc(5) stat count from after the name, which may hold spaces.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
            in_flight.add_metric([pid], process.in_flight)
            cpu.add_metric([pid], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
            memory.add_metric([pid], pages * os.sysconf("SC_PAGE_SIZE"))
        yield from (in_flight, cpu, memory)


def _add(
    family: HistogramMetricFamily, labels: list[str], bounds: tuple[float, ...], found: Iterable[Distribution]
) -> None:
    total = Distribution([0] * (len(bounds) + 1))
    for distribution in found:
        total.add(distribution)
    reached = 0
    buckets: list[tuple[str, float]] = []
    for bound, number in zip((*map(str, map(float, bounds)), "+Inf"), total.counts, strict=True):
        reached += number
        buckets.append((bound, reached))
    family.add_metric(labels, buckets, total.total)
