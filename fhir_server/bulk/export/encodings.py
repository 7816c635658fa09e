"""How the lines of an export become a file: as they stand, gzipped, or as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from isal import igzip

from fhir_server.operations.export_plan import PARQUET

_COMPRESSION = 1


class Sink(Protocol):
    """Where the content of one file goes."""

    def write(self, content: bytes) -> None: ...

    def keep(self) -> None:
        """What was written outlives a crash when this returns, as far as it can."""
        ...

    def close(self) -> None: ...


class Encoder(Protocol):
    """Writes lines to a sink."""

    def add(self, lines: Sequence[bytes]) -> int:
        """Bytes by which the file is longer and can be written on from; 0 when it cannot be."""
        ...

    def finish(self) -> None:
        """No more lines come in this step."""
        ...


class _Ndjson:
    def __init__(self, sink: Sink, *, gzip: bool) -> None:
        self._sink = sink
        self._gzip = gzip

    def add(self, lines: Sequence[bytes]) -> int:
        content = b"\n".join([*lines, b""])
        if self._gzip:
            # A member for each page (RFC 1952 section 2.2): the file can be cut between them.
            content = igzip.compress(content, compresslevel=_COMPRESSION)
        self._sink.write(content)
        return len(content)

    def finish(self) -> None:
        """Every page is whole as it is."""


def encoder(name: str, sink: Sink) -> Encoder:
    """That of a file of this name."""
    if name.endswith(PARQUET):
        from fhir_server.bulk.export.parquet import ParquetEncoder  # noqa: PLC0415 - the parquet extra

        return ParquetEncoder(sink)
    return _Ndjson(sink, gzip=name.endswith(".gz"))
