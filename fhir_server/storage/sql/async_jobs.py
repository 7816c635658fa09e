"""The tables of long requests and what they have made (storage/async_jobs.py: AsyncJobs)."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fhir_server.storage.async_jobs import AsyncJob, Output, OutputFile
from fhir_server.storage.scope import ALL
from fhir_server.storage.sql.dialect import Session, positional

if TYPE_CHECKING:
    from fhir_server.storage.sql.pending import Connection
    from fhir_server.storage.sql.store import SqlStore
    from fhir_server.storage.sql.transaction import SqlTransaction

T = TypeVar("T")

_COLUMNS = (
    "j.id, j.kind, j.principal, j.request, j.plan, j.place, j.state, j.done, j.total, j.owner, j.created, j.updated,"
    " j.failure"
)
_OPEN = "j.state IN ('waiting', 'running')"
_ID_BYTES = 16
_MICROS = 1_000_000


class SqlAsyncJobs:
    """The long requests of one store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def add(self, kind: str, principal: str, request: str, plan: bytes, total: int, most: int) -> AsyncJob | None:
        async def work(connection: Connection, now: int) -> AsyncJob | None:
            unfinished = await connection.fetch(f"SELECT count(*) FROM async_job j WHERE {_OPEN}", ())
            if unfinished[0][0] >= most:
                return None
            job_id = secrets.token_urlsafe(_ID_BYTES)
            sql = (
                "INSERT INTO async_job (id, kind, principal, request, plan, place, state, done, total, owner, due,"
                " created, updated, failure) VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, '', 0, ?, ?, '')"
            )
            row = (job_id, kind, principal, request, plan, b"", total, now, now)
            await connection.run(positional(sql, connection.postgresql), row)
            return await _one(connection, job_id)

        return await self._write(work)

    async def one(self, job_id: str) -> AsyncJob | None:
        return await _one(self._store.session, job_id)

    async def all(self) -> list[AsyncJob]:
        sql = f"SELECT {_COLUMNS} FROM async_job j ORDER BY j.created, j.id"
        return [_job(row) for row in await self._store.session.fetch(sql, ())]

    async def files(self, job_id: str) -> list[OutputFile]:
        sql = "SELECT o.file, sum(o.lines) FROM async_output o WHERE o.job = ? GROUP BY o.file ORDER BY o.file"
        session = self._store.session
        rows = await session.fetch(positional(sql, session.postgresql), (job_id,))
        return [OutputFile(name, int(lines)) for name, lines in rows]

    async def content(self, job_id: str, name: str) -> AsyncIterator[bytes]:
        session = self._store.session
        sql = (
            "SELECT o.n, o.content FROM async_output o WHERE o.job = ? AND o.file = ? AND o.n > ? ORDER BY o.n LIMIT 1"
        )
        last = -1
        while rows := await session.fetch(positional(sql, session.postgresql), (job_id, name, last)):
            last, content = rows[0]
            yield bytes(content)

    async def oldest(self, since: int) -> int | None:
        """When the first of the jobs that are unfinished, and not older than `since`, was made (microseconds)."""
        session = self._store.session
        sql = f"SELECT min(j.created) FROM async_job j WHERE {_OPEN} AND j.created >= ?"
        rows = await session.fetch(positional(sql, session.postgresql), (since,))
        return None if rows[0][0] is None else int(rows[0][0])

    async def claim(self, owner: str, lease_seconds: float) -> AsyncJob | None:
        free = f"SELECT j.id FROM async_job j WHERE {_OPEN} AND j.due <= ? ORDER BY j.created, j.id LIMIT 1"
        session = self._store.session
        if not await session.fetch(positional(free, session.postgresql), (time.time_ns() // 1000,)):
            return None

        async def work(connection: Connection, now: int) -> AsyncJob | None:
            rows = await connection.fetch(positional(free, connection.postgresql), (now,))
            if not rows:
                return None
            sql = "UPDATE async_job SET state = 'running', owner = ?, due = ?, updated = ? WHERE id = ?"
            until = now + int(lease_seconds * _MICROS)
            await connection.run(positional(sql, connection.postgresql), (owner, until, now, rows[0][0]))
            return await _one(connection, rows[0][0])

        return await self._write(work)

    async def step(self, job: AsyncJob, output: Sequence[Output], after: AsyncJob, lease_seconds: float) -> bool:
        async def work(connection: Connection, now: int) -> bool:
            if not await _held(connection, job):
                return False
            for piece in output:
                await _append(connection, job.id, piece)
            sql = "UPDATE async_job SET place = ?, done = ?, due = ?, updated = ? WHERE id = ?"
            until = now + int(lease_seconds * _MICROS)
            await connection.run(positional(sql, connection.postgresql), (after.place, after.done, until, now, job.id))
            return True

        return await self._write(work)

    async def finish(self, job: AsyncJob, failure: str = "") -> bool:
        async def work(connection: Connection, now: int) -> bool:
            if not await _held(connection, job):
                return False
            sql = "UPDATE async_job SET state = ?, updated = ?, failure = ? WHERE id = ?"
            state = "failed" if failure else "completed"
            await connection.run(positional(sql, connection.postgresql), (state, now, failure, job.id))
            return True

        return await self._write(work)

    async def release(self, job: AsyncJob) -> None:
        async def work(connection: Connection, now: int) -> None:
            if await _held(connection, job):
                sql = "UPDATE async_job SET state = 'waiting', owner = '', due = 0 WHERE id = ?"
                await connection.run(positional(sql, connection.postgresql), (job.id,))

        await self._write(work)

    async def remove(self, job_id: str) -> bool:
        async def work(connection: Connection, now: int) -> bool:
            return await _remove(connection, job_id)

        return await self._write(work)

    async def expire(self, older_than_seconds: float) -> list[AsyncJob]:
        old = f"SELECT {_COLUMNS} FROM async_job j WHERE NOT ({_OPEN}) AND j.updated < ?"
        session = self._store.session
        before = time.time_ns() // 1000 - int(older_than_seconds * _MICROS)
        found = [_job(row) for row in await session.fetch(positional(old, session.postgresql), (before,))]

        async def work(connection: Connection, now: int) -> list[AsyncJob]:
            return [job for job in found if await _remove(connection, job.id)]

        return await self._write(work) if found else []

    async def _write(self, work: Callable[[Connection, int], Awaitable[T]]) -> T:
        async def within(transaction: SqlTransaction) -> T:
            return await work(await transaction.exclusive(), transaction.last_updated)

        result: T = await self._store.write(ALL, within)  # type: ignore[arg-type]
        return result


async def _one(session: Session | Connection, job_id: str) -> AsyncJob | None:
    sql = f"SELECT {_COLUMNS} FROM async_job j WHERE j.id = ?"
    rows = await session.fetch(positional(sql, session.postgresql), (job_id,))
    return _job(rows[0]) if rows else None


def _job(row: Sequence[Any]) -> AsyncJob:
    job_id, kind, principal, request, plan, place, *rest = row
    return AsyncJob(job_id, kind, principal, request, bytes(plan), bytes(place), *rest)


async def _held(connection: Connection, job: AsyncJob) -> bool:
    """Whether the owner of `job` still runs it."""
    now = await _one(connection, job.id)
    return now is not None and now.state == "running" and now.owner == job.owner


async def _remove(connection: Connection, job_id: str) -> bool:
    output = positional("DELETE FROM async_output WHERE job = ?", connection.postgresql)
    await connection.run(output, (job_id,))
    job = positional("DELETE FROM async_job WHERE id = ?", connection.postgresql)
    return bool(await connection.run(job, (job_id,)))


async def _append(connection: Connection, job_id: str, piece: Output) -> None:
    last = positional(
        "SELECT coalesce(max(o.n), 0) FROM async_output o WHERE o.job = ? AND o.file = ?", connection.postgresql
    )
    rows = await connection.fetch(last, (job_id, piece.file))
    insert = positional(
        "INSERT INTO async_output (job, file, n, lines, content) VALUES (?, ?, ?, ?, ?)", connection.postgresql
    )
    await connection.run(insert, (job_id, piece.file, rows[0][0] + 1, piece.lines, piece.content))
