"""Exports as long requests (operations/async_worker.py: Work): a process of their own does the steps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from fhir_server.bulk.export.exporter import STEP_SECONDS
from fhir_server.bulk.export.files import ExportFiles
from fhir_server.bulk.export.process import Done, Order
from fhir_server.errors import FhirError, Overloaded, ResourceGone
from fhir_server.interactions.async_request import KEPT_SECONDS
from fhir_server.interactions.exchange import MadeFile, Server
from fhir_server.model.instant import format_instant
from fhir_server.operations.async_worker import Step
from fhir_server.operations.export_plan import DELETED, PARQUET, Place, Plan
from fhir_server.settings import Settings
from fhir_server.storage.async_jobs import AsyncJob, Output, OutputFile

IDLE_SECONDS = 20.0
"""How long a process with nothing to do is kept for the next export."""
ATTEMPTS = 2
"""Processes tried for a step: one may have been killed while it was idle."""
LEAN = {"MALLOC_ARENA_MAX": "1"}
"""For glibc: the threads of the process take turns, so one heap does, and a seventh of the memory is saved."""
LINE_LIMIT = 1 << 26
"""Bytes of an answer; it tells only names and numbers."""


PARQUET_SECONDS = 10.0
"""Of a step that makes Parquet files: each makes files of its own."""


def _seconds(plan: Plan) -> float:
    return PARQUET_SECONDS if plan.suffix == PARQUET else STEP_SECONDS


class ExportWork:
    """Carries out the exports of one server process, one after another."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._used = 0.0
        """When it last did a step."""

    async def step(self, server: Server, job: AsyncJob) -> Step | None:
        plan = msgspec.json.decode(job.plan, type=Plan)
        place = msgspec.json.decode(job.place, type=Place) if job.place else Place()
        remote = bool(self._settings.export_storage)
        if place.number >= plan.parts and (place.shipped or not remote):
            return None
        made = await server.store.async_jobs.files(job.id) if remote else []
        whole = tuple(one.name for one in made if one.name != plan.file(place))
        done = await self._carry_on(Order(job.id, plan, place, _seconds(plan), whole))
        if done.refusal:
            raise FhirError(done.refusal)
        output = [Output(name, lines, b"") for name, lines in done.lines.items()]
        return Step(output, msgspec.json.encode(done.place), done.place.number, elsewhere=True)

    async def _carry_on(self, order: Order) -> Done:
        """Raises Overloaded when it cannot be done now: the job goes on once it is claimed again."""
        request = msgspec.json.encode(order) + b"\n"
        for _ in range(ATTEMPTS):
            try:
                answer = await self._ask(request)
            except asyncio.CancelledError:
                await self.stop()
                raise
            except OSError:
                answer = b""
            if answer:
                self._used = time.monotonic()
                return msgspec.json.decode(answer, type=Done)
            await self.stop()
        raise Overloaded("The process that exports has ended.")

    async def _ask(self, request: bytes) -> bytes:
        """The answer; nothing when the process ends."""
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request)
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "fhir_server.bulk.export.process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT,
                env={**os.environ, **LEAN},
            )
            assert self._process.stdin is not None
            self._process.stdin.write(self._settings.model_dump_json().encode() + b"\n")
        return self._process

    async def rest(self) -> None:
        """End the process when it has had nothing to do for a while: its memory is not kept."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            await self.stop()

    async def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None


class ExportAnswer:
    """What an export has made (interactions/async_request.py: Made)."""

    def __init__(self, files: ExportFiles, canonical_base: str) -> None:
        self._files = files
        self._base = canonical_base

    def manifest(self, job: AsyncJob, files: list[OutputFile], address: str) -> dict[str, Any]:
        """HL7 Bulk Data Access, export.html, "Response - Output Manifest"."""
        plan = msgspec.json.decode(job.plan, type=Plan)
        place = msgspec.json.decode(job.place, type=Place) if job.place else Place()
        lasting = timedelta(microseconds=job.updated - time.time_ns() // 1000, seconds=KEPT_SECONDS)
        listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": []}
        for one in files:
            deleted = one.name.startswith(f"{DELETED}.")
            of_type = "Bundle" if deleted else one.name.partition(".")[0]
            link = self._files.link(job.id, one.name, lasting) or f"{address}/{one.name}"
            entry = {"type": of_type, "url": link, "count": one.lines}
            listed["deleted" if deleted else "output"].append(entry)
        manifest: dict[str, Any] = {
            "transactionTime": format_instant(plan.time).decode(),
            "request": job.request,
            "requiresAccessToken": False,
            "output": listed["output"],
            "error": [],
        }
        if plan.deletions:
            manifest["deleted"] = listed["deleted"]
        told: dict[str, Any] = {
            "patientsOptedOut": place.opted_out,
            "patientsNationallyOptedOut": place.opted_out_nationally,
            "patientsNotHere": place.missing,
        }
        if plan.project:
            told["deidentifiedFor"] = plan.project
            told["pseudonymKey"] = plan.key_fingerprint
            told["typesLeftOut"] = plan.left_out
        manifest["extension"] = {f"{self._base}/export": told}
        return manifest

    def file(self, job: AsyncJob, name: str) -> MadeFile:
        size = self._files.size(job.id, name)
        if size is None:
            raise ResourceGone("The file is not here any more: ask for the manifest again, or for a new export.")
        return MadeFile(size, partial(self._files.content, job.id, name))

    async def discard(self, job: AsyncJob) -> None:
        await self._files.remove(job.id)
