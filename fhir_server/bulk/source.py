"""Resources in files, in the order they stand there: .json holds one, .ndjson one per line; both may be gzipped.

Memory is bounded whatever a file holds: a resource over the limit is passed over piece by piece, also where it is
unpacked. Line ends may be CRLF, and a file may begin with a byte order mark.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, cast

import msgspec

from fhir_server.errors import FhirError, Issue

SUFFIXES = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
BATCH_RESOURCES = 500
BATCH_BYTES = 4_000_000
PIECE_BYTES = 1 << 20
"""Read at once of what is passed over."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DAMAGED = (OSError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a resource came from."""

    file: Path
    line: int
    """From 1; 0 when the file is one resource."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else str(self.file)


class Place(msgspec.Struct, frozen=True):
    """Where the reading of some files goes on."""

    file: int = 0
    """Index of the file."""
    line: int = 0
    """Lines of it that were read."""
    offset: int = 0
    """Bytes of its content, unpacked, that were read."""


START = Place()


@dataclass(frozen=True, slots=True)
class Batch:
    """Resources to be prepared and written together."""

    sources: list[Source]
    bodies: list[bytes]
    progress: int
    """Bytes of the files read for it, as they lie on disk."""
    after: Place
    """Where the reading goes on."""
    unreadable: list[tuple[Source, Issue]] = field(default_factory=list)
    """Resources too long, and files that cannot be read on, from where."""


def files_of(paths: Sequence[Path]) -> list[Path]:
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


def batches(files: Sequence[Path], *, limit: int, start: Place = START, most: int = BATCH_RESOURCES) -> Iterator[Batch]:
    """All resources of `files` from `start` on, in groups of at most `most` and about BATCH_BYTES.

    `limit`: bytes of a resource; a longer one is told of, not given.
    """
    batch = Batch([], [], 0, start)
    size = 0
    for index in range(start.file, len(files)):
        reading = _Reading(files[index], limit, start if index == start.file else Place(index))
        before = 0
        for source, found in reading:
            if isinstance(found, Issue):
                batch.unreadable.append((source, found))
            else:
                batch.sources.append(source)
                batch.bodies.append(found)
                size += len(found)
            if len(batch.bodies) + len(batch.unreadable) >= most or size >= BATCH_BYTES:
                yield replace(batch, progress=batch.progress + reading.taken - before, after=reading.place)
                batch, size, before = Batch([], [], 0, reading.place), 0, reading.taken
        batch = replace(batch, progress=batch.progress + reading.taken - before, after=Place(index + 1))
    if batch.bodies or batch.unreadable or batch.progress:
        yield batch


class _Reading:
    """The resources of one file, each where it stands; an Issue for one that cannot be given."""

    def __init__(self, file: Path, limit: int, start: Place) -> None:
        self._file = file
        self._limit = limit
        self.place = start
        """After what was given last."""
        self.taken = 0
        """Bytes read of the file as it lies on disk."""

    def __iter__(self) -> Iterator[tuple[Source, bytes | Issue]]:
        try:
            with self._file.open("rb") as raw:
                packed = self._file.name.endswith(".gz")
                content = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if packed else raw)
                content.seek(self.place.offset)
                found = self._lines(content) if ".ndjson" in self._file.suffixes else self._whole(content)
                for line, body in found:
                    self.taken = raw.tell()
                    yield Source(self._file, line), body
                self.taken = raw.tell()
        except _DAMAGED as error:
            line = self.place.line
            reason = f"The file cannot be read{' beyond this line' if line else ''}: {_words(error)}."
            yield Source(self._file, line), Issue("structure", reason)

    def _whole(self, content: IO[bytes]) -> Iterator[tuple[int, bytes | Issue]]:
        body = content.read(self._limit + 1)
        yield 0, self._too_long() if len(body) > self._limit else body.removeprefix(BYTE_ORDER_MARK)

    def _lines(self, content: IO[bytes]) -> Iterator[tuple[int, bytes | Issue]]:
        number, offset = self.place.line, self.place.offset
        while line := content.readline(self._limit + 2):
            number += 1
            offset += len(line)
            too_long = len(line.rstrip(b"\r\n")) > self._limit
            if too_long and not line.endswith(b"\n"):
                offset += _pass_over(content)
            elif number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            self.place = Place(self.place.file, number, offset)
            if too_long:
                yield number, self._too_long()
            elif line.strip():
                yield number, line

    def _too_long(self) -> Issue:
        reason = f"The resource is larger than {self._limit} bytes: split it, or raise the setting max_body_bytes."
        return Issue("too-long", reason)


def _pass_over(content: IO[bytes]) -> int:
    """Read to the end of the line; how many bytes."""
    passed = 0
    while piece := content.readline(PIECE_BYTES):
        passed += len(piece)
        if piece.endswith(b"\n"):
            break
    return passed


def _words(error: BaseException) -> str:
    """Why, without the path, which the place of the issue tells."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
