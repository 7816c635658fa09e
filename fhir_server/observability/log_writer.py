"""Write log lines from a background thread, so that a slow reader of the log never slows a request.

Lines are collected in a list and written together; the thread is woken once per batch, not per line.
"""

from __future__ import annotations

import os
import threading
import time

BATCH_SECONDS = 0.05
"""How long lines are collected before one write."""
MAX_PENDING_LINES = 200_000
"""Lines kept while nobody reads the log; later ones are dropped and counted."""


class LogWriter:
    """Writes whole lines to a file descriptor in the order given."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._dropped = 0
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._forked)

    def write(self, line: bytes) -> None:
        """Take one line, newline included."""
        if len(self._lines) >= MAX_PENDING_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            if self._thread is None:
                self._start()
            self._wake.set()

    def flush(self) -> None:
        """Write everything taken so far before returning."""
        with self._writing:
            lines, self._lines = self._lines, []
            dropped, self._dropped = self._dropped, 0
            if dropped:
                lines.append(b'{"level":"warning","event":"log lines dropped","count":%d}\n' % dropped)
            if lines:
                self._write_all(b"".join(lines))

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def _forked(self) -> None:
        """A forked process has the object without its thread, and the lines are the parent's to write."""
        self._lines = []
        self._dropped = 0
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self._thread = None

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(BATCH_SECONDS)
            self._wake.clear()
            self.flush()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # A log whose reader went away must not stop the server.
            self._dropped += data.count(b"\n")


standard_error = LogWriter()
"""The log of this process."""
