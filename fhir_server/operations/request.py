"""An operation call with its parameters checked against the OperationDefinition.

R4 operations.html#request, parameters.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server.interactions.exchange import OperationLevel, Request, Server
from fhir_server.storage.scope import Scope


@dataclass(slots=True)
class OperationRequest:
    """One call. A value is a str, bool, int or Decimal for a primitive type, a dict for a data type or resource.

    Values of primitive types and data types are valid; a resource is as sent, and the operation validates it.
    """

    server: Server
    request: Request
    level: OperationLevel
    resource_type: str | None
    logical_id: str | None
    version_id: str | None
    parameters: dict[str, list[Any]]
    """The values given, by parameter name, in the order sent; names without a value are absent."""

    @property
    def scope(self) -> Scope:
        return self.request.scope

    @property
    def target(self) -> tuple[str, str]:
        """Resource type and logical id of a call at the instance level."""
        assert self.resource_type is not None
        assert self.logical_id is not None
        return self.resource_type, self.logical_id

    def one(self, name: str) -> Any | None:
        """The value of a parameter that has at most one."""
        values = self.parameters.get(name)
        return values[0] if values else None

    def many(self, name: str) -> list[Any]:
        return self.parameters.get(name, [])
