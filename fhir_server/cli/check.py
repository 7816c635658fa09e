"""`fhir-server check`: does what is indexed and counted agree with what is stored?"""

from __future__ import annotations

import argparse
import asyncio
from functools import partial

from fhir_server.cli.options import add_settings, settings_of
from fhir_server.model.json import parse
from fhir_server.search.extract import extract
from fhir_server.search.registry import Registry, registry_of
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.rows import IndexRows
from fhir_server.storage.sql.migrate import require_postgresql_head

DEEPEST = 200
"""The largest `max_json_depth` there can have been when a body was stored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("database",))


def run(arguments: argparse.Namespace) -> int:
    """0 when everything agrees, 1 with findings."""
    findings = asyncio.run(_check(settings_of(arguments)))
    print("Everything agrees." if not findings else f"{findings} findings.")
    return 1 if findings else 0


async def _check(settings: Settings) -> int:
    # What only looks makes and changes nothing.
    if not settings.database.startswith("sqlite:///"):
        await require_postgresql_head(settings.database)
    store = await open_store(settings, writing=False)
    findings = 0
    try:
        async for finding in store.check(partial(_rows_of, settings.time_zone, registry_of(await store.parameters()))):
            findings += 1
            print(f"{finding.resource}: {finding.kind}: {finding.detail}")
    finally:
        await store.close()
    return findings


def _rows_of(time_zone: str, registry: Registry, body: bytes) -> IndexRows:
    return extract(parse(body, max_depth=DEEPEST), time_zone, registry)
