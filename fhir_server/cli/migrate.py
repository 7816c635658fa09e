"""`fhir-server migrate`: the schema of this version, without starting the server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from fhir_server.cli.options import add_settings, settings_of, without_password
from fhir_server.storage.sql.migrate import UnsuitableSchema, migrate_postgresql, migrate_sqlite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("database",))


def run(arguments: argparse.Namespace) -> int:
    database = settings_of(arguments).database
    try:
        if database.startswith("sqlite:///"):
            changed = migrate_sqlite(Path(database.removeprefix("sqlite:///")))
        else:
            changed = asyncio.run(migrate_postgresql(database))
    except UnsuitableSchema as error:
        print(f"{without_password(database)}: {error}", file=sys.stderr)
        return 1
    print(f"{without_password(database)}: {'migrated' if changed else 'up to date'}")
    return 0
