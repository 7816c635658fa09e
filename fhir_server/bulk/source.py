"""Resources in files, in the order they stand there: .json holds one, .ndjson one per line; both may be gzipped."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from fhir_server.errors import FhirError

SUFFIXES = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
BATCH_RESOURCES = 500
BATCH_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where a resource came from."""

    file: Path
    line: int
    """From 1; 0 when the file is one resource."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


@dataclass(frozen=True, slots=True)
class Batch:
    """Resources to be prepared and written together."""

    sources: list[Source]
    bodies: list[bytes]
    progress: int
    """Bytes of the files read for it, as they lie on disk."""
    damaged: list[tuple[Source, str]] = field(default_factory=list)
    """Files that cannot be read on, from where, and why."""


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files named and those below the folders named, sorted by name.

    Raises:
        FhirError: a path is neither a folder nor a file with one of SUFFIXES, or there is no file at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file())
        elif path.is_file() and path.name.endswith(SUFFIXES):
            files.append(path)
        else:
            raise FhirError(f"{path} is neither a folder nor a file ending in {', '.join(SUFFIXES)}.")
    if not files:
        raise FhirError(f"There is nothing to load: no file ends in {', '.join(SUFFIXES)}.")
    return files


def batches(files: Iterable[Path]) -> Iterator[Batch]:
    """All resources of `files`, in groups of at most BATCH_RESOURCES and about BATCH_BYTES."""
    batch = Batch([], [], 0)
    size = 0
    for file in files:
        with file.open("rb") as raw:
            before, line = 0, 0
            try:
                for line, body in _resources(file, raw):
                    batch.sources.append(Source(file, line))
                    batch.bodies.append(body)
                    size += len(body)
                    if len(batch.bodies) >= BATCH_RESOURCES or size >= BATCH_BYTES:
                        position = raw.tell()
                        yield replace(batch, progress=batch.progress + position - before)
                        batch, size, before = Batch([], [], 0), 0, position
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                reason = f"The file is damaged and cannot be read{' beyond this line' if line else ''}: {error}."
                batch.damaged.append((Source(file, line), reason))
            batch = replace(batch, progress=batch.progress + raw.tell() - before)
    if batch.bodies or batch.damaged:
        yield batch


def _resources(file: Path, raw: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    content = gzip.GzipFile(fileobj=raw) if file.name.endswith(".gz") else raw
    if ".ndjson" in file.suffixes:
        for number, line in enumerate(content, 1):
            if line.strip():
                yield number, line
    else:
        yield 0, content.read()
