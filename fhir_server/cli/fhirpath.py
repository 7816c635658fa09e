"""`fhir-server fhirpath`: what an expression gives for the resources in a file, one JSON array a line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhir_server import fhirpath
from fhir_server.errors import FhirError, UnparseableBody
from fhir_server.model.json import encode, parse
from fhir_server.settings import Settings

DEEPEST: int = Settings.model_fields["max_json_depth"].default


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", metavar="EXPR", help="A FHIRPath expression, such as Patient.name.given.")
    parser.add_argument("file", metavar="FILE", help="One resource (JSON) or one a line (NDJSON); - is standard input.")
    parser.add_argument(
        "--strict", action="store_true", help="Refuse elements that the type of the resource does not have."
    )


def run(arguments: argparse.Namespace) -> int:
    """0 when every resource was evaluated, 1 when some could not be, 2 when called wrongly."""
    try:
        expression = fhirpath.compile(arguments.expression, strict=arguments.strict)
        body = sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
    except fhirpath.InvalidExpression as error:
        print(f"fhir-server: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"fhir-server: {arguments.file}: {error.strerror}", file=sys.stderr)
        return 2
    failed = False
    for where, text in _resources(body):
        try:
            found: list[Any] = expression.evaluate(parse(text, max_depth=DEEPEST))
        except FhirError as error:
            print(f"fhir-server: {arguments.file}{where}: {error}", file=sys.stderr)
            failed = True
            continue
        sys.stdout.buffer.write(encode(found) + b"\n")
    sys.stdout.buffer.flush()
    return 1 if failed else 0


def _resources(body: bytes) -> Iterator[tuple[str, bytes]]:
    """(`:line` or nothing, JSON): NDJSON when the first line is a whole resource and others follow."""
    lines = [(n, line) for n, line in enumerate(body.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and _is_whole(lines[0][1]):
        yield from ((f":{n}", line) for n, line in lines)
    else:
        yield "", body


def _is_whole(line: bytes) -> bool:
    try:
        parse(line, max_depth=DEEPEST)
    except UnparseableBody:
        return False
    return True
