"""The directory several processes of one server share while it runs: the writer's socket and the metrics."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = ".fhir-server-"
LONGEST_SOCKET_PATH = 100
"""A local socket's path has room for 107 bytes on Linux and 103 on macOS."""
WRITER_SOCKET = "writer.sock"


@contextmanager
def runtime_directory(database: str) -> Iterator[Path]:
    """A new directory (0700), beside a SQLite file when its path is short enough; removed at the end."""
    parent = _beside(database)
    if parent is not None:
        _remove_left_over(parent)
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _beside(database: str) -> Path | None:
    parts = urlsplit(database)
    if parts.scheme != "sqlite":
        return None
    parent = Path(parts.path.removeprefix("/")).resolve().parent
    room = len(os.fsencode(parent)) + len(f"/{PREFIX}1234567-abcdefgh/{WRITER_SOCKET}")
    return parent if room < LONGEST_SOCKET_PATH and parent.is_dir() else None


def _remove_left_over(parent: Path) -> None:
    """Remove what servers that were killed left behind."""
    for directory in parent.glob(f"{PREFIX}*-*"):
        pid = directory.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not _is_running(int(pid)):
            shutil.rmtree(directory, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
