"""Resources as a Parquet table: what an analyst joins by in columns, and the resource as JSON text.

Such a file ends with a footer and cannot be written on, so each step of an export makes files of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fhir_server.model.instant import parse_instant

if TYPE_CHECKING:
    from fhir_server.bulk.export.encodings import Sink

GROUP_ROWS = 2_000
GROUP_BYTES = 2_000_000
"""Of a row group, which is held at once."""
COMPRESSION_LEVEL = 1
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("resource_type", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("last_updated", pa.timestamp("us", tz="UTC")),
        pa.field("patient", pa.string()),
        pa.field("resource", pa.string(), nullable=False),
    ]
)
"""`patient`: Patient/[id] of the element `subject` or `patient`, or of a Patient itself."""


# Its other pools keep what they were given once.
pa.set_memory_pool(pa.system_memory_pool())


class _Reference(msgspec.Struct):
    reference: str = ""


class _Meta(msgspec.Struct, rename="camel"):
    version_id: str | None = None
    last_updated: str | None = None


class _Resource(msgspec.Struct, rename="camel"):
    resource_type: str
    id: str
    meta: _Meta = msgspec.field(default_factory=_Meta)
    subject: msgspec.Raw = msgspec.Raw(b"")
    patient: msgspec.Raw = msgspec.Raw(b"")


_decoder = msgspec.json.Decoder(_Resource)


class ParquetEncoder:
    def __init__(self, sink: Sink) -> None:
        self._stream = pa.PythonFile(_Stream(sink), mode="w")
        self._writer = pq.ParquetWriter(
            self._stream,
            SCHEMA,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=["resource_type"],
        )
        self._lines: list[bytes] = []
        self._bytes = 0

    def add(self, lines: Sequence[bytes]) -> int:
        for line in lines:
            self._lines.append(line)
            self._bytes += len(line)
            if len(self._lines) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
                self._write()
        return 0

    def finish(self) -> None:
        if self._lines:
            self._write()
        self._writer.close()
        self._stream.flush()

    def _write(self) -> None:
        lines, self._lines, self._bytes = self._lines, [], 0
        columns = list(zip(*_rows(lines), strict=True))
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))


def _rows(lines: Sequence[bytes]) -> Iterator[tuple[str, str, str | None, int | None, str | None, str]]:
    for line in lines:
        resource = _decoder.decode(line)
        updated = resource.meta.last_updated
        yield (
            resource.id,
            resource.resource_type,
            resource.meta.version_id,
            None if updated is None else parse_instant(updated),
            _patient(resource),
            bytes(line).decode(),
        )


def _patient(resource: _Resource) -> str | None:
    if resource.resource_type == "Patient":
        return f"Patient/{resource.id}"
    for raw in (resource.subject, resource.patient):
        # Elements of these names are lists or concepts in some types.
        if bytes(raw).startswith(b"{"):
            try:
                text = msgspec.json.decode(raw, type=_Reference).reference
            except msgspec.ValidationError:
                continue
            if text.startswith("Patient/"):
                return text
    return None


class _Stream:
    """A sink as pyarrow writes to it."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, content: bytes) -> int:
        self._sink.write(bytes(content))
        return len(content)

    def flush(self) -> None:
        """The sink is kept at the end of the step."""

    def close(self) -> None:
        """Who opened the sink closes it."""
