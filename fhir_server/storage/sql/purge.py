"""Removing versions for good: their rows in every table (purge), or only in the index (vacuum)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhir_server.storage.base import PurgeCounts
from fhir_server.storage.sql.dialect import Statement, positional
from fhir_server.storage.sql.followers import followers

if TYPE_CHECKING:
    from fhir_server.storage.sql.pending import Connection

BATCH = 500
"""Versions handled by one set of statements."""


async def purge(connection: Connection, rid: int) -> PurgeCounts:
    """Remove every version of the resource with its index rows and blobs; nothing stays."""
    sql = positional("SELECT ver.seq FROM version ver WHERE ver.rid = ?", connection.postgresql)
    seqs = [row[0] for row in await connection.fetch(sql, (rid,))]
    counts = PurgeCounts(resources=1 if seqs else 0, versions=len(seqs))
    seqs += await _contained_in(connection, seqs)
    for start in range(0, len(seqs), BATCH):
        batch = seqs[start : start + BATCH]
        counts.index_rows += await clear_index(connection, batch)
        counts.blobs += await _delete(connection, "blob", batch)
        await _delete(connection, "blob_chunk", batch)
        await _delete(connection, "superseded", batch)
        await _delete(connection, "version", batch)
    return counts


async def _contained_in(connection: Connection, seqs: Sequence[int]) -> list[int]:
    """The versions of the resources contained in these versions."""
    found: list[int] = []
    for start in range(0, len(seqs), BATCH):
        statement = Statement(connection.postgresql)
        where = statement.one_of("s.seq", seqs[start : start + BATCH])
        sql = f"SELECT c.seq FROM version s JOIN {followers('s.seq')} WHERE {where}"
        found += [row[0] for row in await connection.fetch(*statement.finished(sql))]
    return found


async def clear_index(connection: Connection, seqs: Sequence[int]) -> int:
    """Remove the index rows of these versions; how many there were."""
    if not connection.postgresql:
        await _clear_postings(connection, seqs)
    removed = 0
    for table in ("number", "text", "composite", "feature"):
        removed += await _delete(connection, table, seqs)
    return removed


async def clear_parameters(connection: Connection, seqs: Sequence[int], ps: Sequence[int]) -> None:
    """Remove the versions' rows of the row parameters `ps`, and their features, which belong to no parameter."""
    for table in ("number", "text", "composite"):
        statement = Statement(connection.postgresql)
        where = f"{statement.one_of('seq', seqs)} AND {statement.one_of('p', ps)}"
        await connection.run(*statement.finished(f"DELETE FROM {table} WHERE {where}"))
    if not connection.postgresql:
        await _clear_postings(connection, seqs)
    await _delete(connection, "feature", seqs)


async def _delete(connection: Connection, table: str, seqs: Sequence[int]) -> int:
    statement = Statement(connection.postgresql)
    where = statement.one_of("seq", seqs)
    return await connection.run(f"DELETE FROM {table} WHERE {where}", statement.parameters)


async def _clear_postings(connection: Connection, seqs: Sequence[int]) -> None:
    """SQLite's inverted rows, found again from the packed items of `feature`."""
    statement = Statement(connection.postgresql)
    where = statement.one_of("f.seq", seqs)
    rows = await connection.fetch(f"SELECT f.seq, f.items FROM feature f WHERE {where}", statement.parameters)
    for seq, items in rows:
        for v in unpack(items):
            await connection.run("DELETE FROM posting WHERE v = ? AND seq = ?", (v, seq))


def pack(items: Sequence[int]) -> bytes:
    """feature.items on SQLite: little-endian int32."""
    return struct.pack(f"<{len(items)}i", *items)


def unpack(items: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(items) // 4}i", items))
