"""delete and conditional delete (R4 http.html#delete, #3.1.0.7.1)."""

from __future__ import annotations

from fhir_server.errors import Issue, ResourceNotFound, operation_outcome
from fhir_server.interactions.condition import sole_match
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.preconditions import check_if_match, etag
from fhir_server.interactions.prefer import preference
from fhir_server.model.json import encode
from fhir_server.search.conditional import conditional_query
from fhir_server.storage.base import StoredVersion, Transaction


async def delete(server: Server, request: Request, resource_type: str, logical_id: str) -> Response:
    """204; deleting what is gone already is a success too; 404 for an id that never was."""

    async def work(transaction: Transaction) -> StoredVersion:
        return await remove(request, transaction, resource_type, logical_id)

    return deleted(request, await server.store.write(request.scope, work))


async def remove(request: Request, transaction: Transaction, resource_type: str, logical_id: str) -> StoredVersion:
    """The deletion, now or earlier."""
    current = await transaction.current(resource_type, logical_id)
    if current is None:
        raise ResourceNotFound(f"There is no {resource_type} with the id {logical_id}.")
    check_if_match(request, current)
    return await transaction.delete(resource_type, logical_id) or current


def deleted(request: Request, version: StoredVersion) -> Response:
    headers = {"ETag": etag(version)}
    if preference(request, "return") == "OperationOutcome":
        text = f"{version.resource_type}/{version.logical_id} is deleted."
        outcome = operation_outcome([Issue("informational", text, severity="information")])
        return Response(200, encode(outcome), headers, outcome=outcome, version=version)
    return Response(204, b"", headers, version=version)


async def conditional_delete(server: Server, request: Request, resource_type: str) -> Response:
    """Deletes the one match; none is a 404, several a 412: nothing is deleted by a guess."""
    query = conditional_query(
        resource_type, request.query, base_url=request.base_url, time_zone=server.settings.time_zone
    )

    async def work(transaction: Transaction) -> StoredVersion:
        match = await sole_match(transaction, query)
        if match is None:
            raise ResourceNotFound(f"No {resource_type} matches the criteria.")
        return await remove(request, transaction, resource_type, match.logical_id)

    return deleted(request, await server.store.write(request.scope, work))
