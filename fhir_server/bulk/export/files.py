"""The files that exports make: a folder for each job, for the server's user alone."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from fhir_server.bulk.export.remote import Remote
from fhir_server.errors import FhirError
from fhir_server.settings import Settings

_log = structlog.get_logger()

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
        # No link is followed, and what is gone is not made up for with zeros.
        self._descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if os.fstat(self._descriptor).st_size < length:
            os.close(self._descriptor)
            raise FhirError("A file of the export is no longer as it was made: ask for a new export.")
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


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


class ExportFiles:
    """Of all jobs below `root`; with `remote` whole ones are there."""

    def __init__(self, root: Path, remote: Remote | None = None) -> None:
        self._root = root
        self._remote = remote

    def open(self, job_id: str, name: str, length: int) -> DiskFile:
        return DiskFile(self._root / job_id, name, length)

    async def ship(self, job_id: str, names: Sequence[str]) -> None:
        """Those that still lie on disk go where they are fetched from. Raises FhirError."""
        if self._remote is None:
            return
        for name in names:
            file = self._root / job_id / name
            if file.exists():
                await asyncio.to_thread(self._remote.ship, job_id, file)
                file.unlink()

    def link(self, job_id: str, name: str, lasting: timedelta) -> str | None:
        """Where the file is fetched from for so long; None: from the server."""
        return None if self._remote is None else self._remote.link(job_id, name, lasting)

    def size(self, job_id: str, name: str) -> int | None:
        """Bytes; None when there is no such file: a link is none."""
        try:
            found = (self._root / job_id / name).lstat()
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    async def content(self, job_id: str, name: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `stop`."""
        path = self._root / job_id / name
        with await asyncio.to_thread(open, path, "rb", opener=_no_link) as file:
            file.seek(start)
            rest = stop - start
            while rest and (piece := await asyncio.to_thread(file.read, min(READ_BYTES, rest))):
                rest -= len(piece)
                yield piece

    async def remove(self, job_id: str) -> None:
        """Beside the event loop: to free a gigabyte takes the file system a tenth of a second."""
        await asyncio.to_thread(shutil.rmtree, self._root / job_id, ignore_errors=True)
        if self._remote is not None:
            try:
                await asyncio.to_thread(self._remote.remove, job_id)
            except FhirError as error:
                # Nobody waits for it: what is left expires by the bucket's own rules, if it has any.
                _log.warning("files of an export remain in storage", job=job_id, reason=str(error))
