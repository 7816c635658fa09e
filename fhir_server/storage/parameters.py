"""Custom search parameters and the jobs that build their rows, as the store keeps them: plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from fhir_server.storage.rows import IndexRows

FIRST_CUSTOM = 100_000
"""Numbers from here on are those of custom parameters, given out in order and never twice."""

STATES = ("building", "complete", "retired", "cleared")
"""building: every process writes its rows, older versions lack them. complete: searched. retired: neither written nor
searched, rows are left. cleared: nothing is left but the number, which is not used again."""

KINDS = ("build", "rebuild", "clear")
"""build: add the rows of new parameters. rebuild: make all rows anew. clear: remove those of retired parameters."""
JOB_STATES = ("waiting", "running", "completed", "cancelled", "failed")
UNFINISHED = ("waiting", "running")


class StaleIndex(Exception):
    """The rows of a draft are of an older set of parameters than the database's: load the set and prepare again."""


class ComponentDefinition(msgspec.Struct, frozen=True):
    code: str
    type: str
    expression: str


class ParameterDefinition(msgspec.Struct, frozen=True):
    """What a SearchParameter resource says of one of its base types; compared by value."""

    resource_type: str
    code: str
    url: str
    type: str
    expression: str
    targets: tuple[str, ...] = ()
    components: tuple[ComponentDefinition, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredParameter:
    number: int
    definition: ParameterDefinition
    source: str
    """Id of the SearchParameter it is from."""
    state: str


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """All custom parameters as of one epoch, those that are cleared left out."""

    epoch: int
    extraction: int
    """The version of extraction that all rows are of."""
    parameters: tuple[StoredParameter, ...]


class Plan(msgspec.Struct, frozen=True):
    """What a job does, in order; `upto` is the last seq that can lack something."""

    types: tuple[int, ...] = ()
    """Numbers of the resource types to go through."""
    numbers: tuple[int, ...] = ()
    """The parameters it builds or clears."""
    upto: int = 0
    extraction: int = 0
    """The version of extraction that all rows are of when it is done; 0 when it does not reach all."""


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: str
    plan: Plan
    state: str
    place: int
    after: int
    done: int
    total: int
    owner: str
    created: int
    updated: int
    failure: str = ""

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version whose rows stand in the index."""

    seq: int
    type: int
    logical_id: str
    body: bytes
    """Its own, or that of the resource it is contained in: extraction starts there."""


@dataclass(frozen=True, slots=True)
class Reindexed:
    """A version's rows made anew; with `numbers` only those of these parameters are exchanged."""

    seq: int
    type: int
    rows: IndexRows


class Reindexing(Protocol):
    """Jobs on the index. A job is run by one process at a time, which holds it by a lease it renews with each step."""

    async def jobs(self) -> list[Job]:
        """Newest first."""
        ...

    async def job(self, job_id: int) -> Job | None: ...

    async def request(self, types: Sequence[int], *, extraction: int = 0) -> Job:
        """A job that makes all rows of these types anew."""
        ...

    async def resume(self) -> list[Job]:
        """Jobs for parameters that are being built and have none."""
        ...

    async def cancel(self, job_id: int) -> bool:
        """False when it is not there or has finished."""
        ...

    async def claim(self, owner: str, lease_seconds: float) -> Job | None:
        """A job that nobody runs, now run by `owner`."""
        ...

    async def candidates(self, job: Job, limit: int) -> list[Candidate]:
        """What comes next, in order of seq; nothing when the present place of the plan is done."""
        ...

    async def step(
        self, job: Job, epoch: int, exchanged: Sequence[Reindexed], after: Job, lease_seconds: float
    ) -> bool:
        """Exchange rows and move the job on to `after`, in one work; False when it is no longer the owner's.

        Raises StaleIndex when the rows are of another epoch.
        """
        ...

    async def finish(self, job: Job, failure: str = "") -> bool:
        """The job is done, or has failed: what it built is searched from now on."""
        ...

    async def release(self, job: Job) -> None:
        """Let another process go on with the job at once."""
        ...
