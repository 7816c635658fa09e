"""Backups: a folder of compressed pieces and a manifest with their checksums; the same for both engines.

A piece is a file of records, each a length (4 bytes, big-endian) and a zstd frame of MessagePack: rows of versions, or
a chunk of content that is kept beside one. The folder gets its name when all of it is on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from fhir_server.errors import BusinessRule
from fhir_server.search.reindex import Reindexer
from fhir_server.storage.backup import Row
from fhir_server.storage.base import Store
from fhir_server.storage.codes import FIRST_CONTAINED_TYPE

FORMAT = 1
MANIFEST = "manifest.json"
PAGE = 2_000
PIECE_BYTES = 256 << 20
"""Of one file, compressed."""
_LEVEL = 3
_TYPE = 2
"""Where the type stands in a row of a version."""

Progress = Callable[[int, int], None]
"""Told how many versions are done, and of about how many."""


class Piece(msgspec.Struct, frozen=True):
    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    format: int
    seq: int
    last_updated: int
    versions: int
    """Rows, those of contained resources among them."""
    resources: int
    """Versions of resources, deletions among them."""
    pieces: list[Piece]
    secrets: list[tuple[str, bytes]]
    """Keys that what was handed out before (cursors) is read with."""
    parameters: list[tuple[int, int, str, str, str, bytes]]
    """Rows of the custom search parameters."""

    @property
    def settings(self) -> dict[str, list[Row]]:
        return {"secret": list(self.secrets), "parameter": list(self.parameters)}


async def backup(store: Store, target: Path, progress: Progress) -> Manifest:
    """Everything as of now, whatever is written meanwhile; raises BusinessRule when `target` exists."""
    with _folder_of(target) as folder:
        now = await store.exports.now()
        settings = await store.backups.settings()
        pieces = _Pieces(folder)
        versions = resources = after = 0
        while rows := await store.backups.versions(after, now.seq, PAGE):
            pieces.add(["versions", rows])
            async for blob, number, content in store.backups.blobs([row[0] for row in rows]):
                pieces.add(["chunk", blob, number, content])
            after = rows[-1][0]
            versions += len(rows)
            resources += sum(row[_TYPE] < FIRST_CONTAINED_TYPE for row in rows)
            progress(versions, now.seq)
        secrets, parameters = (settings[name] for name in ("secret", "parameter"))
        counted = (FORMAT, now.seq, now.last_updated, versions, resources)
        manifest = Manifest(*counted, pieces.close(), secrets, parameters)
        _write_durably(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


@contextmanager
def _folder_of(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` when all went well, and is gone when not."""
    if target.exists():
        raise BusinessRule(f"{target} exists: name a new folder.")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        yield partial
        partial.rename(target)
        _flush_folder(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


class _Pieces:
    """The files of a backup that is being made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._done: list[Piece] = []
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._bytes = 0

    def add(self, record: list[Any]) -> None:
        frame = self._compressor.compress(msgspec.msgpack.encode(record))
        if self._file is None:
            self._file = _new_file(self._folder / self._name())
            self._hash, self._bytes = hashlib.sha256(), 0
        for part in (len(frame).to_bytes(4, "big"), frame):
            self._file.write(part)
            self._hash.update(part)
            self._bytes += len(part)
        if self._bytes >= PIECE_BYTES:
            self._close()

    def close(self) -> list[Piece]:
        if self._file is not None:
            self._close()
        return self._done

    def _close(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._done.append(Piece(self._name(), self._bytes, self._hash.hexdigest()))

    def _name(self) -> str:
        return f"versions.{len(self._done) + 1:05}.zst"


def _new_file(path: Path) -> BinaryIO:
    """For its owner alone: it holds patients' data, and keys."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write_durably(path: Path, content: bytes) -> None:
    with _new_file(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verify(source: Path) -> Manifest:
    """The manifest of a backup whose every piece is as it was written. Raises BusinessRule naming what is wrong."""
    try:
        found = json.loads((source / MANIFEST).read_bytes())
    except (OSError, ValueError):
        raise BusinessRule(f"{source} is no backup, or not a whole one: it has no readable {MANIFEST}.") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BusinessRule(f"{source} is of another format than {FORMAT}: restore it with the release that made it.")
    with suppress(msgspec.ValidationError):
        manifest = msgspec.convert(found, Manifest)
        for piece in manifest.pieces:
            _verify_piece(source, piece)
        return manifest
    raise BusinessRule(f"{source / MANIFEST} is damaged.")


def _verify_piece(source: Path, piece: Piece) -> None:
    digest = hashlib.sha256()
    try:
        with (source / piece.name).open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError:
        raise BusinessRule(f"{source / piece.name} is missing or cannot be read.") from None
    if digest.hexdigest() != piece.sha256:
        raise BusinessRule(f"{source / piece.name} is not as it was written: take another backup.")


async def restore(store: Store, source: Path, time_zone: str, progress: Progress) -> Manifest:
    """Into an empty store, index and all. Raises BusinessRule when the backup is damaged or the store is not empty;
    nothing is written then. A restore that was cut off begins again in a new database."""
    manifest = verify(source)
    await store.backups.begin()
    versions = 0
    for piece in manifest.pieces:
        for kind, *content in _records(source / piece.name):
            if kind == "versions":
                rows = [tuple(row) for row in content[0]]
                await store.backups.add(rows)
                versions += len(rows)
                progress(versions, manifest.versions)
            else:
                blob, number, data = content
                await store.backups.add_chunk(tuple(blob), number, data)
    await store.backups.settle(manifest.seq, manifest.last_updated, manifest.settings)
    reindexer = Reindexer(store, time_zone, share=1.0)
    await reindexer.prepare()
    while await reindexer.run_next():
        pass
    await store.backups.end()
    return manifest


def _records(path: Path) -> Iterator[list[Any]]:
    decompressor = zstandard.ZstdDecompressor()
    with path.open("rb") as file:
        while head := file.read(4):
            yield msgspec.msgpack.decode(decompressor.decompress(file.read(int.from_bytes(head, "big"))))
