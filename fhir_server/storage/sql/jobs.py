"""The table of jobs on the index: made with what needs them, held by a lease, moved on with each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from fhir_server.storage.parameters import Job, Plan
from fhir_server.storage.sql.dialect import Session, positional

if TYPE_CHECKING:
    from fhir_server.storage.sql.pending import Connection

COLUMNS = "j.id, j.kind, j.plan, j.state, j.place, j.after, j.done, j.total, j.owner, j.created, j.updated, j.failure"
KEPT = 100
"""Jobs remembered; older ones that have finished are forgotten."""


def _job(row: Sequence[Any]) -> Job:
    job_id, kind, plan, *rest = row
    return Job(job_id, kind, msgspec.json.decode(bytes(plan), type=Plan), *rest)


async def add(connection: Connection, kind: str, plan: Plan, now: int, *, due: int = 0) -> int:
    """A new job, to be taken from `due` on; its id."""
    highest = (await connection.fetch("SELECT max(j.id) FROM reindex j", ()))[0][0] or 0
    insert = positional(
        "INSERT INTO reindex (id, kind, plan, state, place, after, done, total, owner, due, created, updated, failure)"
        " VALUES (?, ?, ?, 'waiting', 0, 0, 0, 0, '', ?, ?, ?, '')",
        connection.postgresql,
    )
    encoded = msgspec.json.encode(plan)
    await connection.run(insert, (highest + 1, kind, encoded, due, now, now))
    forget = positional(
        "DELETE FROM reindex WHERE id <= ? AND state NOT IN ('waiting', 'running')", connection.postgresql
    )
    await connection.run(forget, (highest + 1 - KEPT,))
    return int(highest + 1)


async def listed(session: Session) -> list[Job]:
    return list(map(_job, await session.fetch(f"SELECT {COLUMNS} FROM reindex j ORDER BY j.id DESC", ())))


async def one(session: Session, job_id: int) -> Job | None:
    rows = await session.fetch(
        positional(f"SELECT {COLUMNS} FROM reindex j WHERE j.id = ?", session.postgresql), (job_id,)
    )
    return _job(rows[0]) if rows else None


async def waiting(session: Session, now: int) -> bool:
    """Whether there is a job that nobody runs."""
    sql = "SELECT 1 FROM reindex j WHERE j.state IN ('waiting', 'running') AND j.due <= ? LIMIT 1"
    return bool(await session.fetch(positional(sql, session.postgresql), (now,)))


async def claim(connection: Connection, owner: str, now: int, lease: int) -> Job | None:
    """A job that nobody runs: new parameters before all else (build sorts first), then the oldest.

    The first who takes it notes up to where it goes.
    """
    sql = (
        f"SELECT {COLUMNS} FROM reindex j WHERE j.state IN ('waiting', 'running') AND j.due <= ?"
        " ORDER BY j.kind, j.id LIMIT 1"
    )
    rows = await connection.fetch(positional(sql, connection.postgresql), (now,))
    if not rows:
        return None
    job = _job(rows[0])
    if not job.plan.upto:
        await _begin(connection, job)
    update = positional(
        "UPDATE reindex SET state = 'running', owner = ?, due = ?, updated = ? WHERE id = ?", connection.postgresql
    )
    await connection.run(update, (owner, now + lease, now, job.id))
    return await one(connection, job.id)


async def _begin(connection: Connection, job: Job) -> None:
    """Note up to where the job goes, through which types there are resources of, and how many those are."""
    counts = {row[0]: row[1] for row in await connection.fetch("SELECT s.type, s.count FROM type_stat s", ())}
    clock = await connection.fetch("SELECT c.seq FROM clock c", ())
    types = tuple(number for number in job.plan.types if counts.get(number))
    plan = msgspec.structs.replace(job.plan, types=types, upto=max(1, clock[0][0]))
    update = positional("UPDATE reindex SET plan = ?, total = ? WHERE id = ?", connection.postgresql)
    await connection.run(update, (msgspec.json.encode(plan), sum(counts[number] for number in types), job.id))


async def held(connection: Connection, job: Job) -> bool:
    """Whether the owner of `job` still runs it."""
    now = await one(connection, job.id)
    return now is not None and now.state == "running" and now.owner == job.owner


async def move(connection: Connection, job: Job, now: int, lease: int) -> None:
    sql = positional(
        "UPDATE reindex SET place = ?, after = ?, done = ?, due = ?, updated = ? WHERE id = ?", connection.postgresql
    )
    await connection.run(sql, (job.place, job.after, job.done, now + lease, now, job.id))


async def release(connection: Connection, job_id: int) -> None:
    sql = positional("UPDATE reindex SET state = 'waiting', owner = '', due = 0 WHERE id = ?", connection.postgresql)
    await connection.run(sql, (job_id,))


async def close(connection: Connection, job_id: int, state: str, now: int, failure: str = "") -> bool:
    """End a job that has not ended."""
    sql = positional(
        "UPDATE reindex SET state = ?, updated = ?, failure = ? WHERE id = ? AND state IN ('waiting', 'running')",
        connection.postgresql,
    )
    return bool(await connection.run(sql, (state, now, failure, job_id)))
