"""Making index rows anew, in short works between those of others (storage/parameters.py: Reindexing).

Which version lacks what is not recorded: every version whose rows stand is gone through in the order of seq, and its
rows are deleted and inserted again, so that a step that is repeated changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fhir_server.storage.codes import FIRST_CONTAINED_TYPE, TYPE_NAMES, TYPE_NUMBERS
from fhir_server.storage.contained import SHIFT
from fhir_server.storage.parameters import Candidate, Job, Plan, Reindexed, StaleIndex
from fhir_server.storage.rows import VARIANTS, parameter
from fhir_server.storage.scope import ALL
from fhir_server.storage.sql import jobs, parameters
from fhir_server.storage.sql.dialect import Statement, positional
from fhir_server.storage.sql.predicates import listing_parameter

if TYPE_CHECKING:
    from fhir_server.storage.sql.store import SqlStore
    from fhir_server.storage.sql.transaction import SqlTransaction

T = TypeVar("T")

TABLES = ("number", "text", "composite")


class SqlReindexing:
    """Jobs on the index of one store."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def jobs(self) -> list[Job]:
        return await jobs.listed(self._store.session)

    async def job(self, job_id: int) -> Job | None:
        return await jobs.one(self._store.session, job_id)

    async def request(self, types: Sequence[int], *, extraction: int = 0) -> Job:
        wanted = {TYPE_NAMES[number] for number in types}

        async def work(transaction: SqlTransaction) -> Job:
            connection = await transaction.exclusive()
            pending = parameters.building(await parameters.read(connection))
            numbers = tuple(number for number, name in pending.items() if name in wanted)
            plan = Plan(tuple(types), numbers, extraction=extraction)
            added = await jobs.add(connection, "rebuild", plan, transaction.last_updated)
            job = await jobs.one(connection, added)
            assert job is not None
            return job

        return await self._write(work)

    async def resume(self) -> list[Job]:
        async def work(transaction: SqlTransaction) -> list[Job]:
            connection = await transaction.exclusive()
            pending = parameters.building(await parameters.read(connection))
            for other in await jobs.listed(connection):
                if not other.finished:
                    pending = {n: name for n, name in pending.items() if n not in other.plan.numbers}
            if not pending:
                return []
            names = sorted(set(pending.values()))
            types = tuple(TYPE_NUMBERS[kind] for name in names for kind in (name, f"#{name}"))
            added = await jobs.add(connection, "build", Plan(types, tuple(pending)), transaction.last_updated)
            job = await jobs.one(connection, added)
            return [job] if job else []

        return await self._write(work)

    async def cancel(self, job_id: int) -> bool:
        async def work(transaction: SqlTransaction) -> bool:
            connection = await transaction.exclusive()
            return await jobs.close(connection, job_id, "cancelled", transaction.last_updated)

        return await self._write(work)

    async def claim(self, owner: str, lease_seconds: float) -> Job | None:
        if not await jobs.waiting(self._store.session, time.time_ns() // 1000):
            return None

        async def work(transaction: SqlTransaction) -> Job | None:
            connection = await transaction.exclusive()
            return await jobs.claim(connection, owner, transaction.last_updated, _micros(lease_seconds))

        return await self._write(work)

    async def candidates(self, job: Job, limit: int) -> list[Candidate]:
        if job.kind == "clear":
            return await self._having(job, limit)
        if job.place >= len(job.plan.types):
            return []
        number = job.plan.types[job.place]
        statement = Statement(self._store.session.postgresql)
        listed = f"SELECT 1 FROM number n WHERE n.seq = ver.seq AND n.p = {_listing(statement, number)}"
        sql = (
            f"SELECT ver.seq, ver.type, ver.id, ver.body FROM version ver WHERE ver.type = {statement.bind(number)}"
            f" AND ver.seq > {statement.bind(job.after)} AND ver.seq <= {statement.bind(job.plan.upto)}"
            f" AND {statement.exists(listed)} ORDER BY ver.seq LIMIT {statement.bind(limit)}"
        )
        return await self._read(await self._store.session.fetch(*statement.finished(sql)))

    async def _having(self, job: Job, limit: int) -> list[Candidate]:
        """Versions that have rows of the parameters to be cleared."""
        session = self._store.session
        seqs: set[int] = set()
        for number in job.plan.numbers:
            for first in (parameter(number), parameter(number) + SHIFT):
                for table in TABLES:
                    sql = f"SELECT r.seq FROM {table} r WHERE r.p >= ? AND r.p < ? LIMIT ?"
                    found = await session.fetch(positional(sql, session.postgresql), (first, first + VARIANTS, limit))
                    seqs.update(row[0] for row in found)
            if seqs:
                break
        if not seqs:
            return []
        statement = Statement(session.postgresql)
        where = statement.one_of("ver.seq", sorted(seqs)[:limit])
        sql = f"SELECT ver.seq, ver.type, ver.id, ver.body FROM version ver WHERE {where} ORDER BY ver.seq"
        return await self._read(await session.fetch(*statement.finished(sql)))

    async def _read(self, rows: Sequence[Sequence[Any]]) -> list[Candidate]:
        found = []
        for seq, number, logical_id, body in rows:
            source = body if number < FIRST_CONTAINED_TYPE else await self._container(seq)
            found.append(Candidate(seq, number, logical_id, bytes(source)))
        return found

    async def _container(self, seq: int) -> bytes:
        session = self._store.session
        sql = (
            f"SELECT x.body FROM version x WHERE x.seq < ? AND x.type < {FIRST_CONTAINED_TYPE}"
            " ORDER BY x.seq DESC LIMIT 1"
        )
        return bytes((await session.fetch(positional(sql, session.postgresql), (seq,)))[0][0])

    async def step(
        self, job: Job, epoch: int, exchanged: Sequence[Reindexed], after: Job, lease_seconds: float
    ) -> bool:
        async def work(transaction: SqlTransaction) -> bool:
            connection = await transaction.exclusive()
            if transaction.epoch != epoch:
                raise StaleIndex
            if not await jobs.held(connection, job):
                return False
            standing = await _standing(transaction, exchanged)
            only = _parameters_of(job) if job.kind == "build" else None
            await transaction.exchange([one for one in exchanged if one.seq in standing], only)
            await jobs.move(connection, after, transaction.last_updated, _micros(lease_seconds))
            return True

        return await self._write(work)

    async def finish(self, job: Job, failure: str = "") -> bool:
        async def work(transaction: SqlTransaction) -> bool:
            connection = await transaction.exclusive()
            if not await jobs.held(connection, job):
                return False
            now = transaction.last_updated
            await jobs.close(connection, job.id, "failed" if failure else "completed", now, failure)
            if failure:
                return True
            if job.kind == "clear":
                await parameters.forget(connection, job.plan.numbers)
            elif job.plan.numbers:
                await parameters.complete(connection, job.plan.numbers, now)
                await transaction.next_epoch()
            if job.plan.extraction:
                await self._set_extraction(transaction, job.plan.extraction)
            return True

        return await self._write(work)

    async def release(self, job: Job) -> None:
        async def work(transaction: SqlTransaction) -> None:
            connection = await transaction.exclusive()
            if await jobs.held(connection, job):
                await jobs.release(connection, job.id)

        await self._write(work)

    async def _set_extraction(self, transaction: SqlTransaction, extraction: int) -> None:
        connection = transaction.connection
        sql = positional("UPDATE clock SET extraction = ? WHERE extraction < ?", connection.postgresql)
        await connection.run(sql, (extraction, extraction))

    async def _write(self, work: Callable[[SqlTransaction], Awaitable[T]]) -> T:
        result: T = await self._store.write(ALL, work)  # type: ignore[arg-type]
        return result


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _listing(statement: Statement, number: int) -> str:
    return statement.bind(listing_parameter(TYPE_NAMES[number]))


def _parameters_of(job: Job) -> tuple[int, ...]:
    """Every row parameter of the job's parameters."""
    firsts = [parameter(number) + shift for number in job.plan.numbers for shift in (0, SHIFT)]
    return tuple(first + variant for first in firsts for variant in range(VARIANTS))


async def _standing(transaction: SqlTransaction, exchanged: Sequence[Reindexed]) -> set[int]:
    """The versions whose rows have not been cleared since they were read."""
    if not exchanged:
        return set()
    connection = transaction.connection
    found: set[int] = set()
    by_type: dict[int, list[int]] = {}
    for one in exchanged:
        by_type.setdefault(one.type, []).append(one.seq)
    for number, seqs in by_type.items():
        statement = Statement(connection.postgresql)
        where = statement.one_of("n.seq", seqs)
        sql = f"SELECT n.seq FROM number n WHERE {where} AND n.p = {_listing(statement, number)}"
        found.update(row[0] for row in await connection.fetch(*statement.finished(sql)))
    return found
