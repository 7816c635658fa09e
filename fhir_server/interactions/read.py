"""read: the current version of a resource (R4 http.html#read)."""

from __future__ import annotations

from fhir_server.errors import FhirError
from fhir_server.interactions.answer import present, version_headers
from fhir_server.interactions.binary import binary_answer
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.preconditions import is_not_modified
from fhir_server.storage.base import StoredVersion


async def read(server: Server, request: Request, resource_type: str, logical_id: str) -> Response:
    refuse_parts(request)
    found = await server.store.read(request.scope, resource_type, logical_id)
    return version_answer(server, request, present(found, resource_type, logical_id))


def refuse_parts(request: Request) -> None:
    """A part of a resource was asked for (R4 search.html#summary, #elements): the whole is something else."""
    for name, value in request.query:
        if name == "_elements" or (name == "_summary" and value != "false"):
            raise FhirError(f"{name} is not supported on a read: leave it out.", code="not-supported")


def version_answer(server: Server, request: Request, version: StoredVersion) -> Response:
    """The version as stored, or 304 when the client has it (R4 http.html#cread)."""
    headers = version_headers(version)
    if is_not_modified(request, version):
        return Response(304, b"", headers, version=version)
    if version.resource_type == "Binary":
        return binary_answer(server, request, version, headers)
    return Response(200, version.body or b"", headers, version=version)
