"""`fhir-server jobs`: do scheduled work that is due; list and cancel long requests. Also beside a running server."""

from __future__ import annotations

import argparse
import asyncio
import sys

import msgspec

from fhir_server.bulk.export.files import ExportFiles, export_folder
from fhir_server.bulk.export.remote import remote_of
from fhir_server.cli.options import add_settings, settings_of
from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.jobs.run import Done, run_jobs
from fhir_server.model.instant import format_instant
from fhir_server.observability import logs
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.async_jobs import AsyncJob


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    once = actions.add_parser("run", help="Open and close windows and make reminders, once over.")
    add_settings(once, ("database", "canonical_base", "time_zone", "clock"))
    once.set_defaults(act=_run)
    listing = actions.add_parser("list", help="Exports, imports and other long requests, and how far they are.")
    listing.add_argument("--json", action="store_true", help="A JSON object a line.")
    add_settings(listing, ("database",))
    listing.set_defaults(act=_list)
    cancel = actions.add_parser("cancel", help="End a long request and remove what it has made.")
    cancel.add_argument("id", metavar="ID", help="As list tells it.")
    add_settings(cancel, ("database", "export_folder", "export_storage"))
    cancel.set_defaults(act=_cancel)


def run(arguments: argparse.Namespace) -> int:
    """0 when it was done, 1 when it cannot be, 2 when called wrongly."""
    logs.configure("warning")
    try:
        status: int = asyncio.run(arguments.act(settings_of(arguments), arguments))
    except BusinessRule as error:
        print(f"fhir-server: {error}", file=sys.stderr)
        return 1
    return status


async def _run(settings: Settings, _: argparse.Namespace) -> int:
    store = await open_store(settings)
    try:
        done: Done = await run_jobs(Server(store, settings))
    finally:
        await store.close()
    print(f"{done.opened} windows opened, {done.closed} closed, {done.reminders} reminders made.")
    return 0


async def _list(settings: Settings, arguments: argparse.Namespace) -> int:
    store = await open_store(settings, writing=False)
    try:
        jobs = await store.async_jobs.all()
    finally:
        await store.close()
    told = [_told(job) for job in jobs]
    if arguments.json:
        sys.stdout.buffer.writelines(msgspec.json.encode(one) + b"\n" for one in told)
        return 0
    if not told:
        print("There are no long requests.")
        return 0
    titles = {name: name.upper() for name in told[0]}
    widths = {name: max(len(one[name]) for one in (titles, *told)) for name in titles}
    for one in (titles, *told):
        print("  ".join(one[name].ljust(width) for name, width in widths.items()).rstrip())
    return 0


def _told(job: AsyncJob) -> dict[str, str]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "done": f"{job.done} of {max(job.total, job.done)}" if job.total else str(job.done),
        "began": format_instant(job.created).decode(),
        "last_step": format_instant(job.updated).decode(),
        "request": job.request,
        "failure": job.failure,
    }


async def _cancel(settings: Settings, arguments: argparse.Namespace) -> int:
    store = await open_store(settings)
    try:
        job = await store.async_jobs.one(arguments.id)
        if job is None:
            print(f"fhir-server: there is no long request {arguments.id}.", file=sys.stderr)
            return 1
        await store.async_jobs.remove(job.id)
    finally:
        await store.close()
    # Whoever is at work on it finds that it is gone, and removes what is made after this.
    await ExportFiles(export_folder(settings), remote_of(settings)).remove(job.id)
    print(f"{job.kind} {job.id} ended; what it had made is removed.")
    return 0
