"""`fhir-server instruments wording template | import`: the exact words of an instrument, brought by a licensee.

They are stored in the database only, as a Questionnaire with the items and codes of the shipped one, together with a
Provenance that says who imported them, when and under which licence.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from fhir_server.cli.options import add_settings, settings_of
from fhir_server.errors import FhirError
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.wording import WordingError, template, worded_questionnaire
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.dates import zone
from fhir_server.model.json import encode, parse
from fhir_server.operations.served import served_operations
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.scope import ALL

Json = dict[str, Any]

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_DEPTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    blank = actions.add_parser("template", help="Write the JSON to be filled in: every item and answer, no words.")
    blank.add_argument("instrument", metavar="ID", help="The instrument, as `instruments list` names it.")
    add_settings(blank, ("canonical_base",))
    blank.set_defaults(act=_template)
    command = actions.add_parser("import", help="Store the wording in a file as a Questionnaire of its own version.")
    command.add_argument("instrument", metavar="ID", help="The instrument, as `instruments list` names it.")
    command.add_argument("file", type=Path, metavar="FILE", help="JSON: title, language, version, items.")
    command.add_argument(
        "--licence", required=True, metavar="TEXT", help="Who may use the wording for what; it becomes the copyright."
    )
    command.add_argument("--by", metavar="NAME", help="Who imports it. Default: the user of this system.")
    add_settings(command, ("database", "canonical_base", "time_zone", "sqlite_synchronous"))
    command.set_defaults(act=_import)


def _template(arguments: argparse.Namespace) -> int:
    instrument = _instrument(arguments.instrument, settings_of(arguments))
    if instrument is None:
        return 2
    print(json.dumps(template(instrument), indent=2))
    return 0


def _import(arguments: argparse.Namespace) -> int:
    """0 stored, or stored before; 1 refused; 2 called wrongly."""
    # Here the server itself chooses the id, whatever clients may do.
    settings = settings_of(arguments).model_copy(update={"client_ids": True})
    instrument = _instrument(arguments.instrument, settings)
    if instrument is None:
        return 2
    try:
        wording = parse(arguments.file.read_bytes(), max_depth=_DEPTH)
        today = datetime.now(zone(settings.time_zone)).date().isoformat()
        questionnaire = worded_questionnaire(instrument, wording, arguments.licence, today)
        told = asyncio.run(_store(settings, questionnaire, arguments.licence, arguments.by or getpass.getuser()))
    except OSError as error:
        print(f"fhir-server: {arguments.file}: {error.strerror}", file=sys.stderr)
        return 2
    except (WordingError, FhirError) as error:
        complaints = error.complaints if isinstance(error, WordingError) else [one.diagnostics for one in error.issues]
        for complaint in complaints:
            print(f"{arguments.file}: {complaint}", file=sys.stderr)
        return 1
    print(told)
    return 0


def _instrument(instrument_id: str, settings: Settings) -> Instrument | None:
    catalogue = shipped(settings.canonical_base)
    if instrument_id in catalogue.ids:
        return catalogue.instrument(instrument_id)
    print(f"fhir-server: there is no instrument {instrument_id}: see fhir-server instruments list.", file=sys.stderr)
    return None


async def _store(settings: Settings, questionnaire: Json, licence: str, by: str) -> str:
    """What was done, in a sentence. Raises FhirError."""
    store = await open_store(settings)
    try:
        server = Server(store, settings, served_operations(settings.canonical_base))
        await refresh(server)
        named = f"Questionnaire/{questionnaire['id']} ({questionnaire['url']}|{questionnaire['version']})"
        if _is_stored(await store.read(ALL, "Questionnaire", questionnaire["id"]), questionnaire):
            return f"{named} is stored already, with these words."
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "resource": questionnaire,
                    "request": {"method": "PUT", "url": f"Questionnaire/{questionnaire['id']}", "ifNoneMatch": "*"},
                },
                {
                    "resource": _provenance(questionnaire, licence, by, settings),
                    "request": {"method": "POST", "url": "Provenance"},
                },
            ],
        }
        await dispatch(server, Request("POST", "", body=encode(bundle), base_url=settings.base_url))
    finally:
        await store.close()
    return f"{named} is stored: responses that name it are scored by the rules of {questionnaire['derivedFrom'][0]}."


def _is_stored(version: StoredVersion | None, questionnaire: Json) -> bool:
    """Raises FhirError when other words have that version: answers were given on them."""
    if version is None or version.body is None:
        return False
    if _content(parse(version.body, max_depth=sys.maxsize)) == _content(parse(encode(questionnaire), max_depth=_DEPTH)):
        return True
    raise FhirError(
        f"$.version: {questionnaire['version']} is stored with other words or another licence, and answers may have "
        "been given on it: give the new one a version of its own."
    )


def _content(questionnaire: Json) -> Json:
    return {element: value for element, value in questionnaire.items() if element not in ("meta", "date")}


def _provenance(questionnaire: Json, licence: str, by: str, settings: Settings) -> Json:
    """R4 provenance.html."""
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"Questionnaire/{questionnaire['id']}"}],
        "recorded": datetime.now(zone(settings.time_zone)).isoformat(timespec="milliseconds"),
        "reason": [{"text": f"Published wording imported. Licence: {licence}"}],
        "activity": {"coding": [{"system": _OPERATION, "code": "CREATE", "display": "create"}]},
        "agent": [
            {
                "type": {"coding": [{"system": _PARTICIPANT, "code": "enterer", "display": "Enterer"}]},
                "who": {"display": by},
            }
        ],
        "entity": [{"role": "derivation", "what": {"display": questionnaire["derivedFrom"][0]}}],
    }
