"""`fhir-server export`: what $export gives, to a folder or a pipe, beside a running server or without one."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from fhir_server.bulk.export.deidentified import deidentifier_of
from fhir_server.bulk.export.encodings import Sink
from fhir_server.bulk.export.exporter import STEP_SECONDS, Exporter, Open
from fhir_server.bulk.export.files import DiskFile
from fhir_server.bulk.export.people import people_of
from fhir_server.bulk.export.work import PARQUET_SECONDS
from fhir_server.cli.options import add_settings, settings_of
from fhir_server.errors import FhirError
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Request, Server
from fhir_server.observability import logs
from fhir_server.operations.export import plan_of
from fhir_server.operations.export_plan import Place
from fhir_server.operations.request import OperationRequest
from fhir_server.settings import Settings
from fhir_server.storage import open_store

_PARAMETERS = ("_type", "_since", "_until", "_elements", "_typeFilter")


class _Pipe:
    """Everything goes the same way, one file after the other."""

    def write(self, content: bytes) -> None:
        sys.stdout.buffer.write(content)

    def keep(self) -> None:
        sys.stdout.buffer.flush()

    def close(self) -> None:
        self.keep()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "output", metavar="DIR|-", help="A folder for files as of $export, or - for the standard output."
    )
    parser.add_argument("--patients", action="store_true", help="Only what is of patients.")
    parser.add_argument("--group", metavar="ID", help="Only what is of the members of the Group.")
    for name in _PARAMETERS:
        parser.add_argument(
            f"--{name[1:]}", action="append", default=[], metavar="VALUE", help=f"As {name} of $export."
        )
    parser.add_argument(
        "--deidentify", metavar="PROJECT", help="De-identified for this project; the key is FHIR_PSEUDONYM_KEY."
    )
    parser.add_argument("--gzip", action="store_true", help="Compress.")
    parser.add_argument("--parquet", action="store_true", help="Parquet files instead of lines.")
    add_settings(parser, ("database", "base_url", "canonical_base", "time_zone"))


def run(arguments: argparse.Namespace) -> int:
    """0 when all is written, 1 when it failed, 2 when called wrongly."""
    logs.configure("warning")
    if arguments.output != "-" and Path(arguments.output).exists() and any(Path(arguments.output).iterdir()):
        print(f"fhir-server: {arguments.output} is not empty: name a new folder.", file=sys.stderr)
        return 2
    if arguments.parquet and (arguments.gzip or arguments.output == "-"):
        print("fhir-server: --parquet goes with a folder, and without --gzip.", file=sys.stderr)
        return 2
    try:
        asyncio.run(_export(settings_of(arguments), arguments))
    except BrokenPipeError:
        # Who reads has had enough.
        sys.stderr.close()
        return 1
    except FhirError as error:
        print(f"fhir-server: {error}", file=sys.stderr)
        return 2
    return 0


async def _export(settings: Settings, arguments: argparse.Namespace) -> None:
    store = await open_store(settings, writing=False, scanning=True)
    try:
        server = Server(store, settings)
        await refresh(server)
        plan = await plan_of(_call(server, arguments))
        people = await people_of(server, plan, server.clock.today())
        deidentifier = await deidentifier_of(server, plan)
        exporter = Exporter(server, plan, people, _opening(arguments.output), deidentifier)
        place, lines = Place(), 0
        while place.number < plan.parts:
            written = await exporter.step(place, PARQUET_SECONDS if arguments.parquet else STEP_SECONDS)
            place = written.place
            lines += sum(written.lines.values())
    finally:
        await store.close()
    left_out = f"; {place.opted_out} patients who refuse were left out" if place.opted_out else ""
    types = f"; not de-identified, and so left out: {', '.join(plan.left_out)}" if plan.left_out else ""
    print(f"{lines} resources{left_out}{types}.", file=sys.stderr)


def _opening(output: str) -> Open:
    if output == "-":
        return lambda name, length: _Pipe()

    def open_(name: str, length: int) -> Sink:
        return DiskFile(Path(output), name, length)

    return open_


def _call(server: Server, arguments: argparse.Namespace) -> OperationRequest:
    """The command as the operation would be called."""
    parameters: dict[str, list[Any]] = {name: getattr(arguments, name[1:]) for name in _PARAMETERS}
    if arguments.deidentify is not None:
        parameters["_deidentify"] = [arguments.deidentify]
    if arguments.gzip or arguments.parquet:
        parameters["_outputFormat"] = ["parquet" if arguments.parquet else "ndjson.gz"]
    request = Request("GET", "$export", base_url=server.settings.base_url)
    if arguments.group is not None:
        return OperationRequest(server, request, "instance", "Group", arguments.group, None, parameters)
    if arguments.patients:
        return OperationRequest(server, request, "type", "Patient", None, None, parameters)
    return OperationRequest(server, request, "system", None, None, None, parameters)
