"""read: the current version of a resource (R4 http.html#read)."""

from __future__ import annotations

from fhir_server.interactions.answer import present, version_headers
from fhir_server.interactions.binary import binary_answer, complete_body, wants_resource
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.preconditions import is_not_modified
from fhir_server.interactions.subset import WHOLE, read_subset
from fhir_server.storage.base import StoredVersion


async def read(server: Server, request: Request, resource_type: str, logical_id: str) -> Response:
    found = await server.store.read(request.scope, resource_type, logical_id)
    return await version_answer(server, request, present(found, resource_type, logical_id))


async def version_answer(server: Server, request: Request, version: StoredVersion) -> Response:
    """The version as stored, the part of it that was asked for, or 304 when the client has it (R4 http.html#cread)."""
    headers = version_headers(version)
    subset = read_subset(server, request, (version.resource_type,)) if request.query else WHOLE
    if is_not_modified(request, version):
        return Response(304, b"", headers, version=version)
    if version.resource_type == "Binary" and not (subset and wants_resource(request)):
        return binary_answer(server, request, version, headers)
    if subset:
        return Response(200, subset.of(await complete_body(server, request, version)), headers, version=version)
    return Response(200, version.body or b"", headers, version=version)
