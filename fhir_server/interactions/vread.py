"""vread: one version of a resource (R4 http.html#vread)."""

from __future__ import annotations

from fhir_server.errors import ResourceGone, ResourceNotFound
from fhir_server.interactions.answer import version_headers
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.read import version_answer


async def vread(server: Server, request: Request, resource_type: str, logical_id: str, version_id: str) -> Response:
    found = await server.store.vread(request.scope, resource_type, logical_id, version_number(version_id))
    if found is None:
        raise ResourceNotFound(f"There is no version {version_id} of {resource_type}/{logical_id}.")
    if found.body is None:
        gone = ResourceGone(f"Version {version_id} of {resource_type}/{logical_id} is its deletion.")
        gone.headers = version_headers(found)
        raise gone
    return await version_answer(server, request, found)


def version_number(version_id: str) -> int:
    """The store's number of a version id; 0, which no version has, for what cannot be one of ours."""
    return int(version_id) if version_id.isascii() and version_id.isdigit() and len(version_id) < 10 else 0
