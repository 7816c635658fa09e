"""Making index rows anew in the background: one process runs one job, step by step, beside everything else.

Bodies are read and rows extracted outside the writer; a step exchanges the rows of some versions in one short work and
notes how far the job is, so that another process goes on from there when this one dies.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import structlog

from fhir_server.model.json import parse
from fhir_server.search.extract import extract
from fhir_server.search.registry import Registry, registry_of
from fhir_server.storage.base import Store
from fhir_server.storage.codes import FIRST_CONTAINED_TYPE, TYPE_NUMBERS
from fhir_server.storage.contained import number_of
from fhir_server.storage.parameters import Candidate, Job, Reindexed, StaleIndex
from fhir_server.storage.rows import EXTRACTION, IndexRows

BATCH = 50
"""Versions of one step: on SQLite they hold the event loop for some milliseconds."""
LEASE_SECONDS = 10.0
"""How long after its last step another process may take a job over."""
LONGEST_REST_SECONDS = 2.0
_log = structlog.get_logger()


@dataclass(slots=True)
class Reindexer:
    """Runs the jobs of a store in this process."""

    store: Store
    time_zone: str
    share: float
    """The part of the time it works; it rests in between."""
    owner: str = ""

    def __post_init__(self) -> None:
        self.owner = self.owner or secrets.token_hex(8)

    async def prepare(self) -> None:
        """See that the rows in the database are of this server's extraction, or will be."""
        stored = await self.store.parameters()
        if stored.extraction >= EXTRACTION:
            return
        under_way = [job for job in await self.store.reindexing.jobs() if job.plan.extraction >= EXTRACTION]
        if not any(not job.finished for job in under_way):
            job = await self.store.reindexing.request(tuple(TYPE_NUMBERS.values()), extraction=EXTRACTION)
            _log.info("extraction changed", job=job.id)

    async def run_next(self) -> bool:
        """Run a job that nobody runs, to its end; False when there is none."""
        job = await self.store.reindexing.claim(self.owner, LEASE_SECONDS)
        if job is None:
            return False
        _log.info("reindex", job=job.id, kind=job.kind, place=job.place, after=job.after)
        try:
            await self._run(job)
        except asyncio.CancelledError:
            await self.store.reindexing.release(job)
            raise
        return True

    async def _run(self, job: Job) -> None:
        registry = registry_of(await self.store.parameters())
        current: Job | None = job
        while current is not None:
            started = time.monotonic()
            try:
                current = await self._step(current, registry)
            except StaleIndex:
                registry = registry_of(await self.store.parameters())
                continue
            rest = (time.monotonic() - started) * (1 / self.share - 1)
            await asyncio.sleep(min(rest, LONGEST_REST_SECONDS))

    async def _step(self, job: Job, registry: Registry) -> Job | None:
        """The job after the step; None when it is done, or no longer this process's."""
        reindexing = self.store.reindexing
        found = await reindexing.candidates(job, BATCH)
        if not found:
            if job.kind != "clear" and job.place + 1 < len(job.plan.types):
                following = replace(job, place=job.place + 1, after=0)
                return following if await reindexing.step(job, registry.epoch, (), following, LEASE_SECONDS) else None
            if await reindexing.finish(job):
                _log.info("reindex complete", job=job.id, done=job.done)
            return None
        exchanged = []
        for candidate in found:
            if (one := self._reindexed(job, registry, candidate)) is not None:
                exchanged.append(one)
            await asyncio.sleep(0)
        following = replace(job, after=found[-1].seq, done=job.done + len(found))
        return following if await reindexing.step(job, registry.epoch, exchanged, following, LEASE_SECONDS) else None

    def _reindexed(self, job: Job, registry: Registry, candidate: Candidate) -> Reindexed | None:
        try:
            rows = self._rows(registry, candidate)
        except Exception:
            # A damaged body (fhir-server check names it) must not keep all others from being searched.
            _log.error("body cannot be indexed", seq=candidate.seq)
            if job.kind != "clear":
                return None
            rows = IndexRows()
        if job.kind == "build":
            rows = _only(rows, set(job.plan.numbers))
        return Reindexed(candidate.seq, candidate.type, rows)

    def _rows(self, registry: Registry, candidate: Candidate) -> IndexRows:
        resource: dict[str, Any] = parse(candidate.body, max_depth=sys.maxsize)
        rows = extract(resource, self.time_zone, registry)
        if candidate.type < FIRST_CONTAINED_TYPE:
            return rows
        return next((one.rows for one in rows.contained if one.logical_id == candidate.logical_id), IndexRows())


def _only(rows: IndexRows, numbers: set[int]) -> IndexRows:
    """The rows of these parameters, and all features, which belong to none."""

    return replace(
        rows,
        numbers=[row for row in rows.numbers if number_of(row[0]) in numbers],
        texts=[row for row in rows.texts if number_of(row[0]) in numbers],
        composites=[row for row in rows.composites if number_of(row[0]) in numbers],
    )
