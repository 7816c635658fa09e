"""From an instrument's folder to an Instrument, refusing a definition that contradicts itself.

A folder holds questionnaire.json, scoring.json, instrument.json and tables/ (docs/instruments.md).
"""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from fhir_server.content_files import SHIPPED_BASE
from fhir_server.instruments.compiling import DefinitionError, compile_instrument
from fhir_server.instruments.contradictions import contradictions
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.schemas import best_violation
from fhir_server.instruments.tables import Table, table_of

__all__ = ["DefinitionError", "load_instrument", "load_instruments"]


def load_instrument(folder: Path, canonical_base: str = SHIPPED_BASE) -> Instrument:
    """Read and check one instrument.

    Raises DefinitionError naming file and JSON path.
    """
    metadata = _read(folder, "instrument.json", canonical_base)
    scoring = _read(folder, "scoring.json", canonical_base)
    questionnaire = _read(folder, "questionnaire.json", canonical_base)
    _check(folder, "instrument.json", metadata, "instrument.schema.json")
    _check(folder, "scoring.json", scoring, "scoring.schema.json")
    tables = _tables(folder, canonical_base)
    try:
        instrument = compile_instrument(metadata, scoring, questionnaire, tables, _checksum(folder))
    except DefinitionError as error:
        raise DefinitionError(f"{folder.name}/{error}") from error
    for path, complaint in contradictions(instrument, scoring):
        raise DefinitionError(f"{folder.name}/scoring.json {path}: {complaint}")
    return instrument


def load_instruments(root: Path, canonical_base: str = SHIPPED_BASE) -> list[Instrument]:
    """Every instrument below `root` (a `questionnaires/` folder), by id."""
    return [load_instrument(path.parent, canonical_base) for path in sorted(root.glob("*/scoring.json"))]


def _tables(folder: Path, canonical_base: str) -> dict[str, Table]:
    tables = {}
    for path in sorted((folder / "tables").glob("*.json")):
        name = f"tables/{path.name}"
        document = _read(folder, name, canonical_base)
        _check(folder, name, document, "table.schema.json")
        try:
            tables[document["id"]] = table_of(document)
        except ValueError as error:
            raise DefinitionError(f"{folder.name}/{name} {error}") from error
    return tables


def _read(folder: Path, name: str, canonical_base: str) -> dict[str, Any]:
    text = (folder / name).read_text(encoding="utf-8").replace(SHIPPED_BASE, canonical_base)
    try:
        document = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise DefinitionError(f"{folder.name}/{name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DefinitionError(f"{folder.name}/{name} is not a JSON object")
    return document


def _checksum(folder: Path) -> str:
    """Changes with every rule, table and item, not with the canonical base or the metadata."""
    digest = sha256()
    for path in (folder / "scoring.json", folder / "questionnaire.json", *sorted((folder / "tables").glob("*.json"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _check(folder: Path, name: str, document: dict[str, Any], schema: str) -> None:
    violation = best_violation(schema, document)
    if violation:
        raise DefinitionError(f"{folder.name}/{name} {violation}")
