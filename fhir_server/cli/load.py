"""`fhir-server load`: show progress, report what was refused."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from fhir_server.bulk.load import Loaded, Manner, load
from fhir_server.bulk.preparers import Preparers, preparing_processes
from fhir_server.bulk.source import START, Batch, batches, files_of
from fhir_server.cli.failures import explained
from fhir_server.cli.load_state import LoadState
from fhir_server.cli.options import add_settings, positive, settings_of
from fhir_server.errors import FhirError
from fhir_server.interactions.exchange import Server
from fhir_server.operations.score_on_write import scoring_on_write
from fhir_server.operations.served import served_operations
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.put_off import index_put_off

SETTINGS = (
    "database",
    "base_url",
    "canonical_base",
    "score_unverified",
    "score_on_write",
    "time_zone",
    "max_body_bytes",
    "max_bundle_entries",
    "max_json_depth",
    "sqlite_synchronous",
)
SHOWN_REFUSALS = 20
LINE_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR|FILE", help="Folders and files to load.")
    parser.add_argument(
        "--execute",
        action="store_true",
        help="Carry out Bundles of type batch and transaction instead of storing them.",
    )
    parser.add_argument(
        "--workers",
        dest="processes",
        type=positive,
        default=2,
        metavar="N",
        help="Processes that validate. Default: 2.",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="Write every refusal to FILE, an OperationOutcome a line."
    )
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="Keep in FILE how far the load is; given again, go on from there."
    )
    add_settings(parser, SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """0 when everything was stored, 1 when something was refused or the load failed, 2 when called wrongly."""
    settings = settings_of(arguments)
    try:
        files = files_of(arguments.paths)
        state = LoadState(arguments.resume, files)
        resumed = state.place != START
        output = arguments.report.open("ab" if resumed else "wb") if arguments.report else None
    except (FhirError, OSError) as error:
        print(f"fhir-server: {explained(error)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    loaded = Loaded()
    try:
        with _reporting(output, loaded) as report, _progress(files) as show:

            def on_progress(batch: Batch) -> None:
                report()
                state.keep(batch.after)
                show(batch)

            found = batches(files, limit=settings.max_body_bytes, start=state.place)
            size = sum(file.stat().st_size for file in files)
            with preparing_processes(arguments.processes) as preparers:
                asyncio.run(_load(settings, arguments, preparers, found, size, on_progress, loaded))
        state.end()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        # Also after Ctrl-C or a failure: what was stored is stored.
        _tell_refusals(loaded)
        _summarise(loaded, time.monotonic() - started)
    return 1 if loaded.refusals else 0


async def _load(
    settings: Settings,
    arguments: argparse.Namespace,
    preparers: Preparers,
    found: Iterator[Batch],
    size: int,
    on_progress: Callable[[Batch], None],
    loaded: Loaded,
) -> None:
    task = asyncio.current_task()
    assert task is not None
    # Once only: a second Ctrl-C would end the closing of the store and the writes under way.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: task.cancelling() or task.cancel())
    async with index_put_off(settings, size) as put_off:
        store = await open_store(settings, loading=put_off)
        try:
            server = scoring_on_write(Server(store, settings, served_operations(settings.canonical_base)))
            manner = Manner(execute=arguments.execute)
            await load(
                server,
                found,
                preparers,
                workers=arguments.processes,
                manner=manner,
                on_progress=on_progress,
                loaded=loaded,
            )
        finally:
            await store.close()
            if put_off:
                print("Making the search index.", file=sys.stderr, flush=True)


@contextmanager
def _reporting(report: IO[bytes] | None, loaded: Loaded) -> Iterator[Callable[[], None]]:
    """A function that writes the refusals since its last call to `report`, which is complete at any time."""
    if report is None:
        yield lambda: None
        return
    written = 0
    with report as output:

        def write() -> None:
            nonlocal written
            fresh = loaded.refusals[written:]
            output.write(b"".join(msgspec.json.encode(refusal.as_json()) + b"\n" for refusal in fresh))
            output.flush()
            written += len(fresh)

        try:
            yield write
        finally:
            write()


@contextmanager
def _progress(files: list[Path]) -> Iterator[Callable[[Batch], None]]:
    """A bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 (0.1 s that only a terminal needs)
        from rich.progress import Progress  # noqa: PLC0415

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("Loading", total=sum(file.stat().st_size for file in files))
            yield lambda batch: bar.advance(task, batch.progress)
        return
    done = 0
    shown = started = time.monotonic()

    def line(batch: Batch) -> None:
        nonlocal done, shown
        done += len(batch.bodies)
        now = time.monotonic()
        if now - shown >= LINE_SECONDS:
            shown = now
            print(f"{done} resources, {done / (now - started):.0f} a second", file=sys.stderr, flush=True)

    yield line


def _tell_refusals(loaded: Loaded) -> None:
    for refusal in loaded.refusals[:SHOWN_REFUSALS]:
        for issue in refusal.issues:
            where = issue.expression or refusal.resource
            print(f"{refusal.source}: {refusal.resource}: {where}: {issue.diagnostics}", file=sys.stderr)
    hidden = len(loaded.refusals) - SHOWN_REFUSALS
    if hidden > 0:
        print(f"... and {hidden} more refused; --report FILE lists all.", file=sys.stderr)


def _summarise(loaded: Loaded, seconds: float) -> None:
    executed = f", {loaded.executed} Bundles executed" if loaded.executed else ""
    print(
        f"{loaded.created} created, {loaded.updated} updated, {loaded.unchanged} unchanged{executed}, "
        f"{len(loaded.refusals)} refused in {seconds:.1f} s ({loaded.total / seconds:.0f} a second)"
    )
    if loaded.suspect:
        shown = ", ".join(loaded.suspect[:SHOWN_REFUSALS]) + (" ..." if len(loaded.suspect) > SHOWN_REFUSALS else "")
        print(f"{len(loaded.suspect)} with an NHS number whose check digit is wrong: {shown}", file=sys.stderr)
