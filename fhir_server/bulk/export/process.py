"""The process that exports: reads a request a line, does one step, answers a line; ends with its input.

Started by bulk/export/work.py, so that no event loop that answers others does the work. It reads the database through a
connection of its own and yields the processor to those who answer (nice).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import BinaryIO

import msgspec
import structlog

from fhir_server.bulk.export.deidentified import deidentifier_of
from fhir_server.bulk.export.exporter import Exporter
from fhir_server.bulk.export.files import ExportFiles, export_folder
from fhir_server.bulk.export.people import people_of
from fhir_server.bulk.export.remote import remote_of
from fhir_server.clock import clock_of
from fhir_server.errors import FhirError, Overloaded
from fhir_server.interactions.async_request import INTERNAL
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Server
from fhir_server.observability import logs
from fhir_server.observability.logs import trace
from fhir_server.operations.export_plan import Place, Plan
from fhir_server.settings import Settings
from fhir_server.storage import open_store

NICE = 10
SEARCH_SECONDS = 600.0
"""Nobody waits for one statement."""


_log = structlog.get_logger()


class Order(msgspec.Struct, frozen=True):
    job: str
    plan: Plan
    place: Place
    seconds: float
    whole: tuple[str, ...] = ()
    """Files to be shipped: nothing is added to them any more."""


class Done(msgspec.Struct, frozen=True):
    place: Place
    lines: dict[str, int]
    refusal: str = ""
    """Why the export cannot be finished."""


async def serve(settings: Settings, input_: BinaryIO, output: BinaryIO) -> None:
    """Until the input ends."""
    store = await open_store(settings, writing=False, scanning=True)
    try:
        server = Server(store, settings)
        exporters: dict[str, Exporter] = {}
        files = ExportFiles(export_folder(settings), remote_of(settings))
        while line := await asyncio.to_thread(input_.readline):
            order = msgspec.json.decode(line, type=Order)
            try:
                done = await _done(server, files, exporters, order)
            except Overloaded:
                break  # without its database; the job is not lost
            output.write(msgspec.json.encode(done) + b"\n")
            output.flush()
    finally:
        await store.close()


async def _exporter(server: Server, files: ExportFiles, order: Order) -> Exporter:
    await refresh(server)
    people = await people_of(server, order.plan, clock_of(server.settings).today())
    deidentifier = await deidentifier_of(server, order.plan)
    return Exporter(server, order.plan, people, lambda name, length: files.open(order.job, name, length), deidentifier)


async def _done(server: Server, files: ExportFiles, exporters: dict[str, Exporter], order: Order) -> Done:
    """`exporters`: that of the last job. Raises Overloaded when the database is away."""
    try:
        if order.job not in exporters:
            exporters.clear()
            exporters[order.job] = await _exporter(server, files, order)
        await files.ship(order.job, order.whole)
        written = await exporters[order.job].step(order.place, order.seconds)
    except Overloaded:
        raise
    except FhirError as error:
        return Done(order.place, {}, str(error))
    except OSError as error:
        return Done(order.place, {}, f"The files cannot be written: {error.strerror}.")
    except Exception as error:
        _log.error("export failed", trace=trace(error))
        return Done(order.place, {}, INTERNAL)
    shipped = order.place.number >= order.plan.parts
    return Done(msgspec.structs.replace(written.place, shipped=shipped), written.lines)


def main() -> None:
    # Ctrl-C is for the server, which ends this by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    os.umask(0o077)
    settings = Settings.model_validate_json(sys.stdin.buffer.readline())
    settings = settings.model_copy(update={"search_seconds": SEARCH_SECONDS, "search_steps": 0})
    logs.configure(settings.log_level)
    asyncio.run(serve(settings, sys.stdin.buffer, sys.stdout.buffer))


if __name__ == "__main__":
    main()
