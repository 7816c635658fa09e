"""The operations of this server, found by code, resource type and level.

R4 operations.html. An operation is its OperationDefinition (profiles/) and one function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from fhir_server.content_files import SHIPPED_BASE
from fhir_server.errors import FhirError, MethodNotAllowed
from fhir_server.interactions.exchange import OperationLevel, Request, Response, Server
from fhir_server.model.aside import aside
from fhir_server.operations.definition import Definition, load
from fhir_server.operations.parameters import read_parameters
from fhir_server.operations.request import OperationRequest

Handler = Callable[[OperationRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what may be asked is in the definition, what happens is in `handler`."""

    definition: Definition
    handler: Handler
    versioned: bool = False
    """May also be called on one version of a resource ([type]/[id]/_history/[vid]/$code)."""
    also_get: bool = False
    """GET is answered although the operation can change state: the handler refuses a GET that would."""
    searches: bool = False
    """What else stands in the URL are search parameters, which the handler reads from the request."""

    @property
    def methods(self) -> tuple[str, ...]:
        """R4 operations.html#request: POST always, GET when nothing changes."""
        return ("POST",) if self.definition.affects_state and not self.also_get else ("GET", "POST")


def operation(
    definition_file: str,
    handler: Handler,
    *,
    versioned: bool = False,
    also_get: bool = False,
    searches: bool = False,
) -> Operation:
    """The operation that `profiles/<definition_file>` defines."""
    return Operation(load(definition_file), handler, versioned, also_get, searches)


class OperationRegistry:
    """Implements `interactions.exchange.Operations`."""

    def __init__(self, operations: Iterable[Operation], canonical_base: str = SHIPPED_BASE) -> None:
        self._operations = tuple(operations)
        self._canonical_base = canonical_base

    def declared(self) -> list[tuple[str | None, str, str]]:
        """(resource type, None for the system level; code; canonical). Type `Resource` means every type."""
        declared: list[tuple[str | None, str, str]] = []
        for known in self._operations:
            definition = known.definition
            url = definition.url.replace(SHIPPED_BASE, self._canonical_base)
            if "system" in definition.levels:
                declared.append((None, definition.code, url))
            declared += [(type_name, definition.code, url) for type_name in definition.resource_types]
        return declared

    async def invoke(
        self,
        server: Server,
        request: Request,
        level: OperationLevel,
        resource_type: str | None,
        logical_id: str | None,
        version_id: str | None,
        code: str,
    ) -> Response:
        """Run `$code`.

        Raises FhirError: 404 unknown here, 405 wrong method, 415 wrong content type, 400 wrong parameters.
        """
        known = self._find(level, resource_type, version_id, code)
        definition = known.definition
        if request.method not in known.methods:
            raise _wrong_method(known, request.method)
        depth = server.settings.max_json_depth
        parameters = await aside(
            len(request.body), lambda: read_parameters(definition, request, depth, searches=known.searches)
        )
        return await known.handler(
            OperationRequest(server, request, level, resource_type, logical_id, version_id, parameters)
        )

    def _find(self, level: OperationLevel, resource_type: str | None, version_id: str | None, code: str) -> Operation:
        available = [
            known
            for known in self._operations
            if level in known.definition.levels
            and known.definition.applies_to(resource_type)
            and (version_id is None or known.versioned)
        ]
        for known in available:
            if known.definition.code == code:
                return known
        raise _unknown(level, resource_type, version_id, code, sorted(f"${a.definition.code}" for a in available))


def _unknown(
    level: OperationLevel, resource_type: str | None, version_id: str | None, code: str, available: list[str]
) -> FhirError:
    place = {"system": "the system level", "type": f"the type level of {resource_type}"}.get(
        level, f"a version of {resource_type}" if version_id else f"the instance level of {resource_type}"
    )
    choice = ", ".join(available) or "none"
    return FhirError(
        f"There is no operation ${code} at {place}. Available there: {choice}.", status=404, code="not-supported"
    )


def _wrong_method(known: Operation, method: str) -> MethodNotAllowed:
    allowed = ", ".join(known.methods)
    reason = "" if "GET" in known.methods else " because it changes state"
    return MethodNotAllowed(
        f"${known.definition.code} cannot be called with {method}{reason}. Use {allowed}.", headers={"Allow": allowed}
    )
