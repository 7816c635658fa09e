"""Long requests that are answered later (R4 async.html), as the store keeps them: plain data.

A job is run by one process at a time, which holds it by a lease it renews with each step. Each step adds output and
notes, in one transaction, where the job goes on: whoever takes it over repeats nothing that was kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

STATES = ("waiting", "running", "completed", "failed")
UNFINISHED = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class AsyncJob:
    id: str
    """Random: who does not know it cannot ask."""
    kind: str
    """Which worker runs it."""
    principal: str
    """Who asked."""
    request: str
    """The URL of the request."""
    plan: bytes
    """What is to be done, in the worker's own JSON; never changed."""
    place: bytes
    """Where to go on, in the worker's own JSON; empty at the start."""
    state: str
    done: int
    total: int
    """0 when it is not known."""
    owner: str
    created: int
    """Microseconds since 1970 UTC."""
    updated: int
    failure: str = ""

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of one of the files that a job makes: whole lines."""

    file: str
    lines: int
    content: bytes


@dataclass(frozen=True, slots=True)
class OutputFile:
    name: str
    lines: int


class AsyncJobs(Protocol):
    """The jobs of a store."""

    async def add(self, kind: str, principal: str, request: str, plan: bytes, total: int, most: int) -> AsyncJob | None:
        """A new job, to be run by whoever claims it; None when `most` are unfinished already."""
        ...

    async def one(self, job_id: str) -> AsyncJob | None: ...

    async def all(self) -> list[AsyncJob]:
        """Those that are kept, the oldest first."""
        ...

    async def files(self, job_id: str) -> list[OutputFile]:
        """What the job has made, by name."""
        ...

    def content(self, job_id: str, name: str) -> AsyncIterator[bytes]:
        """The file piece by piece; nothing when there is none."""
        ...

    async def claim(self, owner: str, lease_seconds: float) -> AsyncJob | None:
        """The oldest job that nobody runs, now run by `owner`."""
        ...

    async def step(self, job: AsyncJob, output: Sequence[Output], after: AsyncJob, lease_seconds: float) -> bool:
        """Keep `output` and move the job on to `after`; False when it is no longer the owner's."""
        ...

    async def finish(self, job: AsyncJob, failure: str = "") -> bool:
        """The job is done, or has failed; False when it is no longer the owner's."""
        ...

    async def release(self, job: AsyncJob) -> None:
        """Let another process go on with the job at once."""
        ...

    async def remove(self, job_id: str) -> bool:
        """End the job if it runs, and forget it with all it made; False when it is not there."""
        ...

    async def expire(self, older_than_seconds: float) -> list[AsyncJob]:
        """Forget the jobs that ended so long ago, and give them back."""
        ...
