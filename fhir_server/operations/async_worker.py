"""Carrying out long requests beside everything else: one process runs one, step by step (storage/async_jobs.py)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from fhir_server.errors import FhirError, Overloaded
from fhir_server.interactions.async_request import INTERNAL, KEPT_SECONDS, discard
from fhir_server.interactions.exchange import Server
from fhir_server.observability.logs import trace
from fhir_server.storage.async_jobs import AsyncJob, Output

LEASE_SECONDS = 5.0
"""How long after its process was last heard of another one may take a job over."""
RENEWALS = 3
"""Times that a long step renews its lease before it would end."""
LONGEST_REST_SECONDS = 2.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """What one step made, and where to go on."""

    output: Sequence[Output]
    place: bytes
    done: int
    """Of all steps together."""
    elsewhere: bool = False
    """Another process did it, so this one need not rest."""


class Work(Protocol):
    """One kind of long request. A step that is repeated must do no harm: what it made may not have been kept."""

    async def step(self, server: Server, job: AsyncJob) -> Step | None:
        """The next step; None when there is none. Raises FhirError when the job cannot be finished."""
        ...


@dataclass(slots=True)
class AsyncWorker:
    """Runs the long requests of a server; what it does in this process takes half of the time."""

    server: Server
    kinds: Mapping[str, Work]
    owner: str = field(default_factory=lambda: secrets.token_hex(8))

    async def run_next(self) -> bool:
        """Run a job that nobody runs, to its end; False when there is none."""
        jobs = self.server.store.async_jobs
        for ended in await jobs.expire(KEPT_SECONDS):
            await discard(self.server, ended)
        job = await jobs.claim(self.owner, LEASE_SECONDS)
        if job is None:
            return False
        _log.info("long request", kind=job.kind, done=job.done)
        try:
            await self._run(job)
        except asyncio.CancelledError:
            await jobs.release(job)
            raise
        except Overloaded:
            raise  # the database is away: whoever claims the job next goes on
        except FhirError as error:
            await jobs.finish(job, str(error))
        except Exception as error:
            _log.error("long request failed", kind=job.kind, trace=trace(error))
            await jobs.finish(job, INTERNAL)
        return True

    async def _run(self, job: AsyncJob) -> None:
        work = self.kinds[job.kind]
        while True:
            started = time.monotonic()
            step = await self._step(work, job)
            if step is None:
                await self.server.store.async_jobs.finish(job)
                return
            after = replace(job, place=step.place, done=step.done)
            if not await self.server.store.async_jobs.step(job, step.output, after, LEASE_SECONDS):
                if await self.server.store.async_jobs.one(job.id) is None:
                    await discard(self.server, job)  # cancelled meanwhile: what the step made came after that
                return
            job = after
            rest = 0.0 if step.elsewhere else min(time.monotonic() - started, LONGEST_REST_SECONDS)
            await asyncio.sleep(rest)

    async def _step(self, work: Work, job: AsyncJob) -> Step | None:
        """The next step; however long it takes, nobody takes the job over meanwhile."""
        renewing = asyncio.create_task(self._renew(job))
        try:
            return await work.step(self.server, job)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, job: AsyncJob) -> None:
        held = True
        while held:
            await asyncio.sleep(LEASE_SECONDS / RENEWALS)
            held = await self.server.store.async_jobs.step(job, (), job, LEASE_SECONDS)
