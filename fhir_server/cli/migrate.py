"""`fhir-server migrate`: the schema of this version, without starting the server."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from fhir_server.cli.options import add_settings, settings_of, without_password
from fhir_server.storage.sql.migrate import migrate_postgresql, migrate_sqlite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("database",))


def run(arguments: argparse.Namespace) -> int:
    database = settings_of(arguments).database
    changed = migrate(database)
    print(f"{without_password(database)}: {'migrated' if changed else 'up to date'}")
    return 0


def migrate(database: str) -> bool:
    """Bring the database to this version's schema; True when something was done."""
    if database.startswith("sqlite:///"):
        return migrate_sqlite(Path(database.removeprefix("sqlite:///")))
    return asyncio.run(migrate_postgresql(database))
