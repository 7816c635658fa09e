"""The files that exports make: a folder for each job, for the server's user alone."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from fhir_server.settings import Settings

READ_BYTES = 1 << 20
KEEP_BYTES = 32 << 20


def export_folder(settings: Settings) -> Path:
    """The setting `export_folder`, else `exports` beside an SQLite file, else in the working directory."""
    if settings.export_folder:
        return Path(settings.export_folder)
    file = settings.database.removeprefix("sqlite:///")
    return (Path(file).parent if file != settings.database else Path()) / "exports"


class DiskFile:
    """A file of a folder, to be written on from `length` bytes; what an interrupted step wrote beyond is cut off."""

    def __init__(self, folder: Path, name: str, length: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(self._descriptor, length)
        os.lseek(self._descriptor, length, os.SEEK_SET)
        self._unkept = 0

    def write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._unkept += len(content)
        if self._unkept > KEEP_BYTES:
            # Little by little: at the end of a step nobody waits for hundreds of megabytes.
            self.keep()

    def keep(self) -> None:
        os.fdatasync(self._descriptor)
        self._unkept = 0

    def close(self) -> None:
        os.close(self._descriptor)


class ExportFiles:
    """Of all jobs below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, job_id: str, name: str, length: int) -> DiskFile:
        return DiskFile(self._root / job_id, name, length)

    def size(self, job_id: str, name: str) -> int | None:
        """Bytes; None when there is no such file."""
        try:
            return (self._root / job_id / name).stat().st_size
        except OSError:
            return None

    async def content(self, job_id: str, name: str) -> AsyncIterator[bytes]:
        with await asyncio.to_thread((self._root / job_id / name).open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, READ_BYTES):
                yield piece

    async def remove(self, job_id: str) -> None:
        """Beside the event loop: to free a gigabyte takes the file system a tenth of a second."""
        await asyncio.to_thread(shutil.rmtree, self._root / job_id, ignore_errors=True)
