"""Which search parameters there are at one moment: R4's, and those of SearchParameter resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.search.definitions import Definition, definitions


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """An immutable snapshot: a search or a write uses one from its beginning to its end."""

    epoch: int = 0
    """Counts the changes of what is indexed and searched (the database's `clock.epoch`)."""
    compiled: dict[str, Any] = field(default_factory=dict)
    """What search/extract.py has compiled for a resource type."""

    def definitions(self, resource_type: str) -> Mapping[str, Definition]:
        """The parameters that `resource_type` is searched by, by code."""
        return definitions(resource_type)

    def indexed(self, resource_type: str) -> Mapping[str, Definition]:
        """Those that rows are written for: more than are searched while some are being built."""
        return definitions(resource_type)


R4 = Registry()
"""R4's parameters alone."""
