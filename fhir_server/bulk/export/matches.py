"""Everything that a search finds as of the moment of an export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from fhir_server.interactions.exchange import Server
from fhir_server.operations.found import query_of
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.scope import ALL

_PAGE = 500


async def matches(
    server: Server, resource_type: str, criteria: list[tuple[str, str]], snapshot: int
) -> AsyncIterator[StoredVersion]:
    query = query_of(server, resource_type, criteria, _PAGE)
    after = None
    while True:
        page = await server.store.search(ALL, replace(query, snapshot=snapshot, after=after))
        for version in page.matches:
            yield version
        after = page.next_after
        if after is None:
            return
