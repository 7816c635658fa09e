"""Keeping to the search parameters that are in force: what was prepared with older ones is prepared again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from fhir_server.errors import Overloaded
from fhir_server.search.registry import registry_of
from fhir_server.storage.parameters import StaleIndex

if TYPE_CHECKING:
    from fhir_server.interactions.exchange import Server

T = TypeVar("T")

ATTEMPTS = 5
"""One would do: the parameters seldom change twice within one request."""


async def refresh(server: Server) -> None:
    """Make the server's registry the one of now."""
    if await server.store.epoch() != server.registry.epoch:
        server.registry = registry_of(await server.store.parameters())


async def with_current_registry(server: Server, attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` gives; it is made again when the search parameters changed under it.

    `attempt` prepares what it writes itself, with the server's registry as it is then.
    """
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except StaleIndex:
            await refresh(server)
    raise Overloaded("The search parameters are being changed; try again.")
