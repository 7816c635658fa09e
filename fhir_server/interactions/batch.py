"""batch: every entry by itself, each with its own answer (R4 http.html#brules)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fhir_server.errors import FhirError
from fhir_server.interactions.bundle import bundle
from fhir_server.interactions.bundle_entry import BundleEntry, answer_entry, entries_of, refused
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.prefer import preference

Dispatch = Callable[[Server, Request], Awaitable[Response]]

AT_ONCE = 32
"""Entries carried out side by side, so that their writes share a commit."""


async def batch(server: Server, request: Request, sent: dict[str, Any], dispatch: Dispatch) -> Response:
    """A batch-response Bundle in the order of the entries; one that fails does not touch the others."""
    entries = entries_of(server, request, sent)
    representation = preference(request, "return") == "representation"
    turns = asyncio.Semaphore(AT_ONCE)

    async def carry_out(entry: BundleEntry) -> bytes:
        async with turns:
            try:
                response = await dispatch(server, entry.request)
            except FhirError as error:
                response = refused(error)
            return await answer_entry(entry, response, representation=representation)

    answers = await asyncio.gather(*(carry_out(entry) for entry in entries))
    return Response(200, bundle("batch-response", list(answers)))
