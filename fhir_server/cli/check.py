"""`fhir-server check`: does what is indexed and counted agree with what is stored, and can the workflow be as it is?"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

from fhir_server.cli.options import add_settings, settings_of
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Server
from fhir_server.model.json import parse
from fhir_server.operations.workflow_check import workflow_violations
from fhir_server.pathways.invariants.record import Moment, Violation
from fhir_server.search.extract import extract
from fhir_server.search.registry import Registry, registry_of
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.base import Store
from fhir_server.storage.rows import IndexRows
from fhir_server.storage.sql.migrate import require_postgresql_head

A_DAY = timedelta(days=1)
"""How long the jobs may take to open and close the windows of a day."""
DEEPEST = 200
"""The largest `max_json_depth` there can have been when a body was stored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("database", "time_zone", "canonical_base", "clock"))


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
        async for violation in _workflow(store, settings):
            findings += 1
            print(f"{violation.resource}: {violation.rule}: {violation.detail}")
    finally:
        await store.close()
    return findings


async def _workflow(store: Store, settings: Settings) -> AsyncIterator[Violation]:
    server = Server(store, settings)
    await refresh(server)
    today = server.clock.today()
    async for violation in workflow_violations(server, Moment(today, today - A_DAY)):
        yield violation


def _rows_of(time_zone: str, registry: Registry, body: bytes) -> IndexRows:
    return extract(parse(body, max_depth=DEEPEST), time_zone, registry)
