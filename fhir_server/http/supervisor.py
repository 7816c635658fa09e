"""Several server processes on one listening socket: started in order, replaced when they die, stopped together.

The supervisor forks its workers from a process without threads, event loop or database connections and
otherwise only waits for signals. The first worker starts alone, because it migrates and loads content.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from fhir_server.observability.log_writer import standard_error

RunWorker = Callable[[int, Callable[[], None]], int]
"""Runs worker number n (0 is the first) until it ends; calls back when it is ready; returns an exit status."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_QUICK_DEATH_SECONDS = 2.0
_RESTART_PAUSE_SECONDS = 1.0
_log = structlog.get_logger()


@dataclass(slots=True)
class _Child:
    number: int
    pid: int
    started: float
    ready_descriptor: int


class Supervisor:
    """Keeps `count` workers running."""

    def __init__(
        self,
        count: int,
        run_worker: RunWorker,
        *,
        shutdown_seconds: float,
        on_ready: Callable[[], None],
    ) -> None:
        self._count = count
        self._run_worker = run_worker
        self._shutdown_seconds = shutdown_seconds
        self._on_ready = on_ready
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {}
        # Workers see the end of this pipe when the supervisor is gone, however it went.
        self._life_read, self._life_write = os.pipe()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; 0, or the first worker's status when it never became ready."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        first = self._start(0)
        if not self._wait_ready(first):
            _, status = os.waitpid(first.pid, 0)
            return os.waitstatus_to_exitcode(status) or 1
        others = [self._start(number) for number in range(1, self._count)]
        for child in others:
            self._wait_ready(child)
        self._on_ready()
        while True:
            received = signal.sigtimedwait(_SIGNALS, self._pause())
            if received is not None and received.si_signo != signal.SIGCHLD:
                return self._stop()
            self._reap()
            self._restart_due()

    def _start(self, number: int) -> _Child:
        ready_read, ready_write = os.pipe()
        standard_error.flush()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(ready_read)
                os.close(self._life_write)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
                _end_with(self._life_read)
                status = self._run_worker(number, lambda: _tell(ready_write))
            finally:
                os._exit(status)
        os.close(ready_write)
        child = self._children[pid] = _Child(number, pid, time.monotonic(), ready_read)
        return child

    def _wait_ready(self, child: _Child) -> bool:
        """Whether the worker said that it is ready before it ended."""
        told = os.read(child.ready_descriptor, 1)
        os.close(child.ready_descriptor)
        child.ready_descriptor = -1
        return bool(told)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is None:
                continue
            if child.ready_descriptor >= 0:
                os.close(child.ready_descriptor)
            _log.error("worker ended", pid=pid, status=os.waitstatus_to_exitcode(status))
            quick = time.monotonic() - child.started < _QUICK_DEATH_SECONDS
            self._due[child.number] = time.monotonic() + (_RESTART_PAUSE_SECONDS if quick else 0.0)

    def _restart_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._start(number)

    def _pause(self) -> float:
        """Seconds until there is something to do without a signal."""
        return max(0.0, min(self._due.values()) - time.monotonic()) if self._due else 3600.0

    def _stop(self) -> int:
        # The readers first: they still need the writer for what they are answering.
        for group in ([c for c in self._children.values() if c.number], list(self._children.values())):
            for child in group:
                _signal(child.pid, signal.SIGTERM)
            self._wait_gone({child.pid for child in group})
        return 0

    def _wait_gone(self, pids: set[int]) -> None:
        deadline = time.monotonic() + self._shutdown_seconds + 2.0
        while pids & self._children.keys():
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                self._children.pop(pid, None)
                continue
            if time.monotonic() > deadline:
                for late in pids & self._children.keys():
                    _signal(late, signal.SIGKILL)
            signal.sigtimedwait(_SIGNALS, 0.2)


def _tell(descriptor: int) -> None:
    os.write(descriptor, b"1")
    os.close(descriptor)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _end_with(life: int) -> None:
    """Ask this worker to stop when its supervisor is gone."""
    import threading  # noqa: PLC0415 (the supervisor itself stays without threads)

    def watch() -> None:
        os.read(life, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
