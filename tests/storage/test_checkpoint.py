"""The write-ahead log is moved into SQLite's file beside the writer (wal.html, section 2.1)."""

from __future__ import annotations

import time
from pathlib import Path

from fhir_server.storage.sqlite.checkpoint import ROWS, Checkpointer
from fhir_server.storage.sqlite.connection import connect

PATIENCE = 10.0


def test_what_was_committed_goes_into_the_file_without_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    writer = connect(path)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("CREATE TABLE t (v TEXT)")
    checkpointer = Checkpointer(path, "FULL")
    try:
        checkpointer.committed(writer.total_changes)
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO t VALUES (?)", [("x" * 100,) for _ in range(ROWS)])
        writer.execute("COMMIT")
        before = path.stat().st_size
        checkpointer.committed(writer.total_changes)
        deadline = time.monotonic() + PATIENCE
        while path.stat().st_size < before + ROWS * 100:
            assert time.monotonic() < deadline, "nothing was moved"
    finally:
        checkpointer.close()
        writer.close()
    with path.open("rb") as file:
        assert file.read().count(b"x" * 100) == ROWS
