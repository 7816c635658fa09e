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
from fhir_server.interactions.async_request import INTERNAL, KEPT_SECONDS
from fhir_server.interactions.exchange import Server
from fhir_server.observability.logs import trace
from fhir_server.storage.async_jobs import AsyncJob, Output

LEASE_SECONDS = 5.0
"""How long after its last step another process may take a job over: longer than a step."""
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
        await jobs.expire(KEPT_SECONDS)
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
            step = await work.step(self.server, job)
            if step is None:
                await self.server.store.async_jobs.finish(job)
                return
            after = replace(job, place=step.place, done=step.done)
            if not await self.server.store.async_jobs.step(job, step.output, after, LEASE_SECONDS):
                return  # cancelled, or taken over
            job = after
            rest = 0.0 if step.elsewhere else min(time.monotonic() - started, LONGEST_REST_SECONDS)
            await asyncio.sleep(rest)
