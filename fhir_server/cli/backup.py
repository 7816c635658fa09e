"""`fhir-server backup`: everything into a folder, also while a server writes."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from fhir_server.bulk.backup import Manifest, Progress, backup, verify
from fhir_server.cli.options import add_settings, settings_of
from fhir_server.errors import BusinessRule
from fhir_server.observability import logs
from fhir_server.settings import Settings
from fhir_server.storage import open_store

LINE_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", type=Path, metavar="DIR", help="The new folder of the backup.")
    parser.add_argument("--verify", action="store_true", help="Only check the backup that is there.")
    add_settings(parser, ("database",))


def run(arguments: argparse.Namespace) -> int:
    """0 when it is whole, 1 when it is damaged, 2 when called wrongly."""
    logs.configure("warning")
    started = time.monotonic()
    try:
        if arguments.verify:
            manifest = verify(arguments.target)
        else:
            manifest = asyncio.run(_backup(settings_of(arguments), arguments.target))
    except BusinessRule as error:
        print(f"fhir-server: {error}", file=sys.stderr)
        return 1 if arguments.verify else 2
    tell("Whole" if arguments.verify else "Backed up", manifest, time.monotonic() - started)
    return 0


async def _backup(settings: Settings, target: Path) -> Manifest:
    store = await open_store(settings, writing=False, scanning=True)
    try:
        return await backup(store, target, progress())
    finally:
        await store.close()


def progress() -> Progress:
    """A line now and then."""
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > LINE_SECONDS:
            last = time.monotonic()
            print(f"{done:,} of about {total:,} versions", file=sys.stderr)

    return show


def tell(what: str, manifest: Manifest, seconds: float) -> None:
    size = sum(piece.bytes for piece in manifest.pieces)
    print(f"{what}: {manifest.resources:,} versions of resources, {size / 1e6:,.0f} MB, in {seconds:.1f} s.")
