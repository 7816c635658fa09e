"""`fhir-server content check [FILE ...]`: does the shipped content, or do these files with it, hold together?"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import msgspec

from fhir_server.content_check import Report, check, read_files, read_shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    checking = actions.add_parser("check", help="Check every shipped artefact, or files of yours against them.")
    checking.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="A resource in JSON. Default: all that ship."
    )
    checking.add_argument("--json", action="store_true", help="Write JSON.")
    checking.set_defaults(act=_check)


def run(arguments: argparse.Namespace) -> int:
    """0 nothing found, 1 with findings, 2 called wrongly."""
    status: int = arguments.act(arguments)
    return status


def _check(arguments: argparse.Namespace) -> int:
    try:
        given = read_files(arguments.files)
    except OSError as error:
        print(f"fhir-server: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    report = check(read_shipped(), given)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(asdict(report)), indent=2).decode())
    else:
        _tell(report)
    return 1 if report.findings else 0


def _tell(report: Report) -> None:
    for finding in report.findings:
        print(finding)
    for one in report.unchecked:
        print(f"Not checked: {one.codes} codes of {one.system} ({one.reason}).")
    print(f"{report.artefacts} artefacts, {len(report.findings) or 'no'} findings.")
