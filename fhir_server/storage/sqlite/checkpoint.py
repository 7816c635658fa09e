"""Checkpoints beside the writer: what it has committed goes from the write-ahead log into the database file.

SQLite would do so within the commit that finds the log long, and every write would wait for it (wal.html, "Avoiding
Excessively Large WAL Files"). A passive checkpoint in a thread with a connection of its own blocks nobody; the writer's
own, at CHECKPOINT_PAGES, then finds little left to move and begins the log anew.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import structlog

from fhir_server.storage.sqlite.connection import connect

ROWS = 2_000
"""Rows changed between two checkpoints; index rows lie so far apart that each is nearly a page."""
_log = structlog.get_logger()


class Checkpointer:
    """One thread; told after each commit."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self._connection = connect(path, synchronous=synchronous)
        self._due = threading.Event()
        self._closed = False
        self._rows = 0
        self._thread = threading.Thread(target=self._run, name="sqlite-checkpoint", daemon=True)
        self._thread.start()

    def committed(self, rows: int) -> None:
        """`rows`: changed by the writer since it was opened."""
        if rows - self._rows >= ROWS:
            self._rows = rows
            self._due.set()

    def close(self) -> None:
        self._closed = True
        self._due.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while self._due.wait() and not self._closed:
            self._due.clear()
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                # A full disk, say: the writer's own checkpoint tells whoever writes.
                _log.warning("checkpoint failed", reason=str(error))
