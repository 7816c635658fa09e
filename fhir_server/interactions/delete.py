"""delete and conditional delete (R4 http.html#delete, #3.1.0.7.1)."""

from __future__ import annotations

from fhir_server.errors import Issue, operation_outcome
from fhir_server.interactions.condition import foresee, sole_match
from fhir_server.interactions.consequences import react
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.preconditions import check_if_match, etag
from fhir_server.interactions.prefer import preference
from fhir_server.model.json import encode
from fhir_server.search.conditional import conditional_criteria
from fhir_server.storage.base import StoredVersion, Transaction


async def delete(server: Server, request: Request, resource_type: str, logical_id: str) -> Response:
    """204; deleting what is not there, or no longer, is a success too (R4 http.html#delete)."""

    async def work(transaction: Transaction) -> StoredVersion | None:
        return await remove(server, request, transaction, resource_type, logical_id)

    gone = await server.store.write(request.scope, work)
    server.forms.written(resource_type)
    return deleted(request, gone)


async def remove(
    server: Server, request: Request, transaction: Transaction, resource_type: str, logical_id: str
) -> StoredVersion | None:
    """`mark_deleted`, with what it sets off."""
    gone = await mark_deleted(request, transaction, resource_type, logical_id)
    if gone is not None:
        await react(server, transaction, gone)
    return gone


async def mark_deleted(
    request: Request, transaction: Transaction, resource_type: str, logical_id: str
) -> StoredVersion | None:
    """The deletion, now or earlier; None when there never was such a resource."""
    current = await transaction.current(resource_type, logical_id)
    check_if_match(request, current)
    return await transaction.delete(resource_type, logical_id) or current


def deleted(request: Request, version: StoredVersion | None) -> Response:
    headers = {"ETag": etag(version)} if version else {}
    if preference(request, "return") == "OperationOutcome":
        text = (
            f"{version.resource_type}/{version.logical_id} is deleted." if version else "There was nothing to delete."
        )
        outcome = operation_outcome([Issue("informational", text, severity="information")])
        return Response(200, encode(outcome), headers, outcome=outcome, version=version)
    return Response(204, b"", headers, version=version)


async def conditional_delete(server: Server, request: Request, resource_type: str) -> Response:
    """Deletes the one match; none is a success too, several a 412: nothing is deleted by a guess."""
    condition = conditional_criteria(
        resource_type,
        request.query,
        base_url=request.base_url,
        time_zone=server.settings.time_zone,
        registry=server.registry,
    )
    await foresee(server, request, (condition,))

    async def work(transaction: Transaction) -> StoredVersion | None:
        match = await sole_match(server, transaction, condition)
        return match and await remove(server, request, transaction, resource_type, match.logical_id)

    gone = await server.store.write(request.scope, work)
    server.forms.written(resource_type)
    return deleted(request, gone)
