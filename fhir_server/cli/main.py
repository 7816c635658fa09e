"""`fhir-server COMMAND`: finds the command and runs it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "serve": "Start the server.",
    "load": "Load resources from .json and .ndjson files, also gzipped.",
    "export": "Write resources to files or a pipe, as of one moment.",
    "backup": "Write everything to a folder that either engine can be restored from.",
    "restore": "Fill an empty database from a backup.",
    "migrate": "Bring the database to this version's schema.",
    "reindex": "Make search index rows that are lacking or old, and show how far that is.",
    "jobs": "Do the scheduled work that is due: windows and reminders.",
    "check": "Compare indexes, counters and compartments with the stored resources.",
    "content": "Check the shipped content, or files of yours against it.",
    "instruments": "List and check the instruments; import the wording of one under a licence.",
    "score": "Score the questionnaire responses in files.",
    "fhirpath": "Evaluate a FHIRPath expression on the resources in a file.",
    "version": "Print the version.",
}
PRIVATE = 0o077
"""Whatever is created belongs to its user alone: files 0600, directories 0700."""


INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 done with findings or failed, 2 called wrongly."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    os.umask(PRIVATE)
    try:
        parsed = _parser(next((word for word in words if not word.startswith("-")), "")).parse_args(words)
        status: int = parsed.run(parsed)
    except KeyboardInterrupt:
        # Another one while the interpreter ends would change the exit status.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return INTERRUPTED
    except Exception as error:
        from fhir_server.cli.failures import explained  # noqa: PLC0415 (`version` needs none of it)

        sentence = explained(error)
        if sentence is None:
            raise
        print(f"fhir-server: {sentence}", file=sys.stderr)
        return 1
    return status


def _parser(chosen: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fhir-server", description="FHIR R4 server for musculoskeletal care.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if name == chosen:
            module = import_module(f"fhir_server.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
