"""The reactions of a server, found by the resource type that is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.errors import Issue
from fhir_server.interactions.exchange import Server
from fhir_server.model.dates import zone
from fhir_server.operations.stored import content_of
from fhir_server.storage.base import StoredVersion, Transaction


@dataclass(slots=True)
class Write:
    """One version that a client wrote, within its transaction."""

    server: Server
    transaction: Transaction
    version: StoredVersion
    _resource: dict[str, Any] | None = field(default=None, init=False)
    _before: dict[str, Any] | None = field(default=None, init=False)

    @property
    def resource(self) -> dict[str, Any]:
        """The version's content, parsed when it is first asked for."""
        if self._resource is None:
            self._resource = content_of(self.version)
        return self._resource

    @property
    def canonical_base(self) -> str:
        return self.server.settings.canonical_base

    @property
    def zone(self) -> ZoneInfo:
        """In which the days of windows are counted."""
        return zone(self.server.clock.time_zone)

    async def before(self) -> dict[str, Any] | None:
        """The content before this write; None when the resource is new or was deleted."""
        number = self.version.version_id - 1
        if number == 0 or self._before is not None:
            return self._before
        version = self.version
        earlier = await self.transaction.vread(version.resource_type, version.logical_id, number)
        if earlier is not None and earlier.body is not None:
            self._before = content_of(earlier)
        return self._before


@dataclass(frozen=True, slots=True)
class Reaction:
    """What `handler` does after a write of one of `types`: warnings, or FhirError to refuse the write."""

    types: frozenset[str]
    handler: Callable[[Write], Awaitable[list[Issue]]]
    deletion: bool = False
    """It is for deletions, which have no `Write.resource`, and for nothing else."""


class ReactionRegistry:
    """Implements `interactions.exchange.Reactions`."""

    def __init__(self, reactions: Iterable[Reaction]) -> None:
        self._by_type: dict[tuple[str, bool], list[Reaction]] = {}
        for reaction in reactions:
            for name in reaction.types:
                self._by_type.setdefault((name, reaction.deletion), []).append(reaction)
        self._types = frozenset(name for name, _ in self._by_type)

    @property
    def types(self) -> frozenset[str]:
        return self._types

    async def after_write(self, server: Server, transaction: Transaction, version: StoredVersion) -> list[Issue]:
        """One reaction after the other, in the order they are served in."""
        write = Write(server, transaction, version)
        reactions = self._by_type.get((version.resource_type, version.body is None), ())
        return [issue for reaction in reactions for issue in await reaction.handler(write)]
