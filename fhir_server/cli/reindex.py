"""`fhir-server reindex`: run the jobs that make index rows anew, or watch the server that runs them."""

from __future__ import annotations

import argparse
import asyncio
import sys

from fhir_server.cli.options import add_settings, settings_of
from fhir_server.observability import logs
from fhir_server.search.reindex import Reindexer
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.base import Store
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.parameters import Job

LOOK_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="Make all rows anew, not only what is lacking.")
    add_settings(parser, ("database", "time_zone"))


def run(arguments: argparse.Namespace) -> int:
    """0 when every job was completed, 1 when one failed."""
    logs.configure("warning")
    return asyncio.run(_reindex(settings_of(arguments), full=arguments.full))


async def _reindex(settings: Settings, *, full: bool) -> int:
    store = await open_store(settings)
    try:
        reindexer = Reindexer(store, settings.time_zone, share=1.0)
        await reindexer.prepare()
        if full:
            await store.reindexing.request(tuple(TYPE_NUMBERS.values()))
        else:
            await store.reindexing.resume()
        begun = {job.id for job in await _unfinished(store)}
        running = asyncio.create_task(_run(reindexer))
        try:
            while await _unfinished(store) and not running.done():
                _show((await _unfinished(store))[-1:])
                await asyncio.wait((running,), timeout=LOOK_SECONDS)
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        ended = [job for job in await store.reindexing.jobs() if job.id in begun]
    finally:
        await store.close()
    for job in ended:
        print(f"Job {job.id} ({job.kind}): {job.state}, {job.done} resources{job.failure and ': '}{job.failure}")
    if not ended:
        print("Nothing to do: every search parameter is built.")
    return 1 if any(job.state == "failed" for job in ended) else 0


async def _run(reindexer: Reindexer) -> None:
    """Take every job that nobody runs, until none is left; others are waited for."""
    while await _unfinished(reindexer.store):
        if not await reindexer.run_next():
            await asyncio.sleep(LOOK_SECONDS)


async def _unfinished(store: Store) -> list[Job]:
    return [job for job in await store.reindexing.jobs() if not job.finished]


def _show(jobs: list[Job]) -> None:
    for job in jobs:
        print(f"Job {job.id} ({job.kind}): {job.done} of about {max(job.total, job.done)}", file=sys.stderr)
