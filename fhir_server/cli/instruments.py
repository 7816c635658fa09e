"""`fhir-server instruments list | check | wording`: what can be scored, and how well that is known."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from fhir_server import content_files
from fhir_server.cli import instrument_wording
from fhir_server.cli.options import add_settings, settings_of
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.golden import disagreements, read_vectors
from fhir_server.instruments.loading import DefinitionError, load_instrument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="Show every instrument with its scores, evidence and licence.")
    listing.add_argument("--json", action="store_true", help="Write JSON.")
    add_settings(listing, ("canonical_base",))
    listing.set_defaults(act=_list)
    check = actions.add_parser("check", help="Load definitions and score their golden vectors.")
    check.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="One instrument, or several. Default: all that ship."
    )
    check.set_defaults(act=_check)
    wording = actions.add_parser("wording", help="Import the published wording of an instrument under a licence.")
    instrument_wording.add_arguments(wording)


def run(arguments: argparse.Namespace) -> int:
    """0 done, 1 with findings, 2 called wrongly."""
    status: int = arguments.act(arguments)
    return status


def _list(arguments: argparse.Namespace) -> int:
    instruments = shipped(settings_of(arguments).canonical_base).instruments
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode([_told(one) for one in instruments]), indent=2).decode())
        return 0
    for one in instruments:
        scores = ", ".join(score.name for score in one.scores) or "no score"
        licence = one.metadata["licence"]
        print(f"{one.id}: {one.metadata['name']} ({one.metadata['version']}), {one.metadata['evidence']}")
        print(f"    {scores}")
        print(f"    {licence['holder']}: {licence['text']}")
    return 0


def _told(one: Instrument) -> dict[str, Any]:
    metadata = one.metadata
    return {
        "id": one.id,
        "name": metadata["name"],
        "version": metadata["version"],
        "evidence": metadata["evidence"],
        "questionnaire": one.canonical,
        "scores": [
            {"name": score.name, "title": score.title, "evidence": score.evidence, "direction": score.direction}
            for score in one.scores
        ],
        "licence": metadata["licence"],
    }


def _check(arguments: argparse.Namespace) -> int:
    root = arguments.folder or Path(content_files.root()) / "questionnaires"
    folders = [root] if (root / "scoring.json").exists() else [path.parent for path in root.glob("*/scoring.json")]
    if not folders:
        print(f"fhir-server: {root} holds no scoring.json, nor do its folders.", file=sys.stderr)
        return 2
    findings, vectors = 0, 0
    for folder in sorted(folders):
        try:
            checked, wrong = _checked(folder)
        except DefinitionError as error:
            checked, wrong = 0, [str(error)]
        vectors += checked
        findings += len(wrong)
        for line in wrong:
            print(line)
    print(f"{len(folders)} definitions, {vectors} golden vectors: {findings or 'no'} findings.")
    return 1 if findings else 0


def _checked(folder: Path) -> tuple[int, list[str]]:
    """Vectors scored and what is wrong. Raises DefinitionError."""
    for name in ("instrument.json", "questionnaire.json"):
        if not (folder / name).exists():
            raise DefinitionError(f"{folder.name}/{name} is not there")
    instrument = load_instrument(folder)
    file = folder / "golden.json"
    if not file.exists():
        return 0, []
    vectors = read_vectors(file, instrument)
    wrong = [
        f"{folder.name}/golden.json $.vectors[{index}] ({vector['name']}): {what} is {found}, expected {expected}"
        for index, vector in enumerate(vectors)
        for what, found, expected in disagreements(instrument, vector)
    ]
    return len(vectors), wrong
