"""What the operating system says about a process and its children: CPU time and memory."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from tempfile import TemporaryFile

import psutil

SAMPLED_SECONDS = 0.05


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its living children, as the kernel counts it (10 ms ticks)."""
    total = 0.0
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def cpu_seconds_of_all(pid: int) -> float:
    """As `cpu_seconds`, with children that have ended: PostgreSQL's connections come and go."""
    ended = psutil.Process(pid).cpu_times()
    return float(cpu_seconds(pid) + ended.children_user + ended.children_system)


def resident_bytes(pid: int) -> int:
    """Memory of the largest process of the tree: one worker."""
    sizes = []
    for process in _tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes.append(process.memory_info().rss)
    return max(sizes)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def run_counted(command: Sequence[str]) -> tuple[float, float]:
    """Seconds, and CPU seconds of all processes, that `command` takes. Raises RuntimeError when it fails.

    The CPU is sampled: what runs in the last moment of a process is not in it.
    """
    used: dict[int, float] = {}
    started = time.perf_counter()
    with TemporaryFile() as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            for one in _tree(process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = one.cpu_times()
                    used[one.pid] = times.user + times.system
            time.sleep(SAMPLED_SECONDS)
        elapsed = time.perf_counter() - started
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{command} failed ({process.returncode}): {output.read().decode()[-2000:]}")
    return elapsed, sum(used.values())
