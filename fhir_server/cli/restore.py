"""`fhir-server restore`: a backup into an empty database of either engine."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from fhir_server.bulk.backup import Manifest, restore
from fhir_server.cli.backup import progress, tell
from fhir_server.cli.options import add_settings, settings_of
from fhir_server.errors import BusinessRule
from fhir_server.observability import logs
from fhir_server.settings import Settings
from fhir_server.storage import open_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="DIR", help="The folder of the backup.")
    add_settings(parser, ("database", "time_zone", "sqlite_synchronous"))


def run(arguments: argparse.Namespace) -> int:
    """0 when all is there and indexed, 1 when the backup is damaged or the database is not empty."""
    logs.configure("warning")
    started = time.monotonic()
    try:
        manifest = asyncio.run(_restore(settings_of(arguments), arguments.source))
    except BusinessRule as error:
        print(f"fhir-server: {error}", file=sys.stderr)
        return 1
    tell("Restored", manifest, time.monotonic() - started)
    return 0


async def _restore(settings: Settings, source: Path) -> Manifest:
    store = await open_store(settings)
    try:
        return await restore(store, source, settings.time_zone, progress())
    finally:
        await store.close()
