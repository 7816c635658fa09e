"""batch: every entry by itself, each with its own answer (R4 http.html#brules)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fhir_server.errors import FhirError
from fhir_server.interactions.bundle import bundle
from fhir_server.interactions.bundle_entry import answer_entry, read_entry, refused_entry, sent_entries
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.prefer import preference
from fhir_server.observability.failure import failed

Dispatch = Callable[[Server, Request], Awaitable[Response]]

AT_ONCE = 32
"""Entries carried out side by side, so that their writes share a commit."""


async def batch(server: Server, request: Request, sent: dict[str, Any], dispatch: Dispatch) -> Response:
    """A batch-response Bundle in the order of the entries; one that fails does not touch the others."""
    representation = preference(request, "return") == "representation"
    turns = asyncio.Semaphore(AT_ONCE)

    async def carry_out(index: int, sent_entry: dict[str, Any]) -> bytes:
        async with turns:
            try:
                entry = read_entry(request, index, sent_entry)
                return await answer_entry(entry, await dispatch(server, entry.request), representation=representation)
            except FhirError as error:
                return refused_entry(error)
            except Exception as error:
                return refused_entry(failed(error, request.headers.get("x-request-id", "")))

    entries = sent_entries(server, sent)
    answers = await asyncio.gather(*(carry_out(index, entry) for index, entry in enumerate(entries)))
    return Response(200, bundle("batch-response", list(answers)))
