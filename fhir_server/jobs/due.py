"""Steps that a day falls due for, found by the index of that day, page by page; idle between, so that writes get in.

docs/decisions/0010: the rows are of the steps that wait for a day, and go when they have had it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.model.dates import OPEN_LOW, milliseconds, zone
from fhir_server.storage.base import Dated

BATCH = 50
"""Steps of one transaction: other writes wait for it, some 10 ms."""

LONGEST_REST_SECONDS = 1.0

_BEYOND = 2**62


async def due_steps(
    server: Server, kind: str, code: str, until: date, since: date | None = None
) -> AsyncIterator[list[Dated]]:
    """Batches of resources of type `kind` whose date `code` (a shipped search parameter) begins on the days
    `since`..`until`, in order.

    After each batch the job rests as long as it worked. Raises BusinessRule when the parameter is not there.
    """
    definition = server.registry.definitions(kind).get(code)
    if definition is None or server.registry.url(kind, code) != (
        f"{server.settings.canonical_base}/SearchParameter/{kind}-{code}"
    ):
        raise BusinessRule(
            f"The search parameter {kind} {code}, by which jobs find what is due, is not in force: start the server "
            "with its content (setting content), or wait until its index is built (fhir-server reindex).",
            code="not-found",
        )
    last = _midnight(server, until + timedelta(days=1)) - 1
    after = (OPEN_LOW if since is None else _midnight(server, since) - 1, _BEYOND, _BEYOND)
    while True:
        started = time.monotonic()
        found = await server.store.earliest(definition.p, last, BATCH, after)
        if not found:
            return
        after = found[-1].place
        yield found
        await asyncio.sleep(min(time.monotonic() - started, LONGEST_REST_SECONDS))


def _midnight(server: Server, day: date) -> int:
    return milliseconds(datetime(day.year, day.month, day.day, tzinfo=zone(server.settings.time_zone)))
