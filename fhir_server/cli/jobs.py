"""`fhir-server jobs run`: do the scheduled work that is due, also beside a running server."""

from __future__ import annotations

import argparse
import asyncio
import sys

from fhir_server.cli.options import add_settings, settings_of
from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.jobs.run import Done, run_jobs
from fhir_server.observability import logs
from fhir_server.settings import Settings
from fhir_server.storage import open_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    once = actions.add_parser("run", help="Open and close windows and make reminders, once over.")
    add_settings(once, ("database", "canonical_base", "time_zone", "clock"))


def run(arguments: argparse.Namespace) -> int:
    """0 when everything that is due was done, 1 when it cannot be found, 2 when called wrongly."""
    logs.configure("warning")
    try:
        done = asyncio.run(_run(settings_of(arguments)))
    except BusinessRule as error:
        print(f"fhir-server: {error}", file=sys.stderr)
        return 1
    print(f"{done.opened} windows opened, {done.closed} closed, {done.reminders} reminders made.")
    return 0


async def _run(settings: Settings) -> Done:
    store = await open_store(settings)
    try:
        return await run_jobs(Server(store, settings))
    finally:
        await store.close()
