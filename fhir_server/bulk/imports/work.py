"""Imports as long requests (operations/async_worker.py: Work): each file is fetched, then stored step by step.

A step can be done again: what was stored is found unchanged, also what has no id of its own (bulk/prepare.py).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fhir_server.bulk.export.work import IDLE_SECONDS
from fhir_server.bulk.imports.fetch import NotWanted, fetch
from fhir_server.bulk.load import Loaded, Manner, load
from fhir_server.bulk.preparers import Preparers, forked
from fhir_server.bulk.refusal import Refusal
from fhir_server.bulk.source import START, Batch, Source, batches
from fhir_server.bulk.source import Place as Reading
from fhir_server.errors import Conflict, FhirError, Issue, Overloaded
from fhir_server.interactions.exchange import Server
from fhir_server.model.instant import format_instant
from fhir_server.operations.async_worker import Step
from fhir_server.operations.import_plan import Input, Plan
from fhir_server.storage.async_jobs import AsyncJob, Output, OutputFile

STEP_SECONDS = 1.0
BATCH = 100
"""Resources written together: others wait for them."""
PROCESSES = 2
NICE = 10


class Counts(msgspec.Struct, frozen=True):
    """What became of the resources of one file."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0

    def plus(self, loaded: Loaded) -> Counts:
        return Counts(
            self.created + loaded.created,
            self.updated + loaded.updated,
            self.unchanged + loaded.unchanged,
            self.refused + len(loaded.refusals),
        )


class Place(msgspec.Struct, frozen=True):
    """Where an import goes on."""

    counts: tuple[Counts, ...] = (Counts(),)
    """Of each file, up to the one whose turn it is."""
    reading: Reading = START
    """Where in that file."""
    size: int = 0
    """Its bytes, once it is fetched."""

    @property
    def input(self) -> int:
        """Index of the file."""
        return len(self.counts) - 1


class ImportWork:
    """Carries out the imports of one server process, one after another; `root`: the folder for their files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._preparers: Preparers | None = None
        self._used = 0.0
        self._found: tuple[Path, Reading, Iterator[Batch]] | None = None
        """A file being read, from where: what is gzipped cannot be begun in the middle."""

    async def step(self, server: Server, job: AsyncJob) -> Step | None:
        plan = msgspec.json.decode(job.plan, type=Plan)
        place = msgspec.json.decode(job.place, type=Place) if job.place else Place()
        try:
            if place.input < len(plan.inputs):
                return await self._step(server, job, plan.inputs[place.input], plan.source, place)
        except NotWanted:
            # The worker finds that the job is gone.
            return Step((), job.place, job.done)
        except Overloaded:
            raise
        except FhirError:
            await self.remove(job)
            raise
        except OSError as error:
            await self.remove(job)
            raise FhirError(f"The files cannot be kept: {error.strerror}.") from error
        await self.remove(job)
        return None

    async def _step(self, server: Server, job: AsyncJob, what: Input, source: str, place: Place) -> Step:
        folder, name = self._root / job.id, f"input-{place.input + 1}"
        file = next(iter(folder.glob(f"{name}.ndjson*")), None)
        if file is None:
            file = await fetch(server, what, folder, name, lambda: _is_wanted(server, job))
            size = file.stat().st_size
            if place.size not in (0, size):
                raise Conflict(f"{what.url} has changed since the import began: begin a new one.")
            return Step((), msgspec.json.encode(msgspec.structs.replace(place, size=size)), job.done, elsewhere=True)
        loaded, reading = await self._load(server, file, place.reading, _manner(what, source))
        counts = (*place.counts[:-1], place.counts[-1].plus(loaded))
        after = Place(counts, reading, place.size)
        if reading.file > 0:
            await asyncio.to_thread(file.unlink)
            after = Place((*counts, Counts()))
        output = _errors(f"error-{place.input + 1}.ndjson", what, loaded)
        return Step(output, msgspec.json.encode(after), job.done + loaded.total)

    async def _load(self, server: Server, file: Path, start: Reading, manner: Manner) -> tuple[Loaded, Reading]:
        """Store for about STEP_SECONDS; where the reading goes on: in the next file, when this one is read."""
        if self._found is None or self._found[:2] != (file, start):
            limit = server.settings.max_body_bytes
            self._found = (file, start, batches([file], limit=limit, start=start, most=BATCH))
        found, self._found = self._found[2], None
        if self._preparers is None:
            self._preparers = await asyncio.to_thread(Preparers, forked(PROCESSES, NICE))
        deadline = time.monotonic() + STEP_SECONDS
        ends = start

        def until_late() -> Iterator[Batch]:
            nonlocal ends
            for batch in found:
                yield batch
                ends = batch.after
                if time.monotonic() > deadline:
                    return
            ends = Reading(1)

        loaded = await load(server, until_late(), self._preparers, workers=PROCESSES, manner=manner)
        self._used = time.monotonic()
        self._found = (file, ends, found)
        return loaded, ends

    async def rest(self) -> None:
        """End the processes when they have had nothing to do for a while: their memory is not kept."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            await self.stop()

    async def stop(self) -> None:
        preparers, self._preparers = self._preparers, None
        if preparers is not None:
            await asyncio.to_thread(preparers.close)

    async def remove(self, job: AsyncJob) -> None:
        self._found = None
        await asyncio.to_thread(shutil.rmtree, self._root / job.id, ignore_errors=True)


def _manner(what: Input, source: str) -> Manner:
    return Manner(resource_type=what.resource_type, source_url=source, name=lambda one: f"{what.url}:{one.line}")


async def _is_wanted(server: Server, job: AsyncJob) -> bool:
    return await server.store.async_jobs.one(job.id) is not None


def _errors(file: str, what: Input, loaded: Loaded) -> list[Output]:
    """OperationOutcomes, one a line, of what was refused, and of what somebody has to look at."""
    outcomes = [refusal.as_json(what.url) for refusal in loaded.refusals]
    for name in loaded.suspect:
        reason = "The check digit of an NHS number is wrong; it is stored as it came."
        warning = Issue("business-rule", reason, severity="warning")
        outcomes.append(Refusal(Source(Path(), 0), name, [warning]).as_json(what.url))
    if not outcomes:
        return []
    return [Output(file, len(outcomes), b"".join(msgspec.json.encode(one) + b"\n" for one in outcomes))]


class ImportAnswer:
    """What an import has made (interactions/async_request.py: Made)."""

    def __init__(self, work: ImportWork) -> None:
        self._work = work

    def manifest(self, job: AsyncJob, files: list[OutputFile], address: str) -> dict[str, Any]:
        plan = msgspec.json.decode(job.plan, type=Plan)
        place = msgspec.json.decode(job.place, type=Place) if job.place else Place()
        told = {one.name: one.lines for one in files}
        output, error = [], []
        for number, (what, counts) in enumerate(zip(plan.inputs, place.counts, strict=False), 1):
            stored = counts.created + counts.updated + counts.unchanged
            entry = {"type": what.resource_type, "inputUrl": what.url, "count": stored}
            output.append({**entry, "extension": msgspec.to_builtins(counts)})
            name = f"error-{number}.ndjson"
            if name in told:
                where = {"url": f"{address}/{name}", "inputUrl": what.url, "count": told[name]}
                error.append({"type": "OperationOutcome", **where})
        return {
            "transactionTime": format_instant(job.created).decode(),
            "request": job.request,
            "requiresAccessToken": False,
            "output": output,
            "error": error,
        }

    def file(self, job: AsyncJob, name: str) -> None:
        """What it tells is in the store."""

    async def discard(self, job: AsyncJob) -> None:
        await self._work.remove(job)
