"""update, update as create and conditional update (R4 http.html#update, #upsert, #cond-update)."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import Conflict, FhirError, Issue, MethodNotAllowed, VersionConflict
from fhir_server.interactions.answer import written
from fhir_server.interactions.body import check_body_id, resource_of
from fhir_server.interactions.condition import foresee, sole_match
from fhir_server.interactions.consequences import react
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.logical_id import check_id, new_id
from fhir_server.interactions.preconditions import check_if_match, must_not_exist
from fhir_server.interactions.questionnaire_answers import check_answers
from fhir_server.model.aside import aside
from fhir_server.model.instant import format_instant
from fhir_server.search.conditional import conditional_criteria
from fhir_server.storage.base import Draft, StoredVersion, Transaction


async def update(server: Server, request: Request, resource_type: str, logical_id: str) -> Response:
    """200 with the new version (or the current one when nothing changed), 201 when the id was new."""

    def read() -> tuple[dict[str, Any], Draft]:
        resource = resource_of(server, request, resource_type)
        check_body_id(resource, logical_id)
        return resource, prepare_for(server, resource, logical_id)

    resource, draft = await aside(len(request.body), read)

    async def work(transaction: Transaction) -> tuple[StoredVersion, int, list[Issue]]:
        await check_references(server, transaction, resource)
        warnings = await check_answers(server, transaction, resource)
        status, version = await put(server, request, transaction, draft)
        return version, status, [*warnings, *await react(server, transaction, version)]

    return written(request, *await server.store.write(request.scope, work))


async def put(
    server: Server, request: Request, transaction: Transaction, draft: Draft, *, own_id: bool = False
) -> tuple[int, StoredVersion]:
    """Write `draft` where the request's preconditions allow it: (200 or 201, the version).

    `own_id`: the client sent no id, so a new one is of the server's making.
    """
    current = await transaction.current(draft.resource_type, draft.logical_id)
    check_if_match(request, current)
    exists = current is not None and current.body is not None
    if must_not_exist(request) and exists:
        raise VersionConflict(f"{draft.resource_type}/{draft.logical_id} exists already (If-None-Match: *).")
    if current is None and not own_id and not server.settings.client_ids:
        raise MethodNotAllowed(
            "This server does not let clients choose ids (R4 http.html#upsert): create with POST.",
            headers={"Allow": "GET, HEAD"},
        )
    if exists and current is not None and await _same(transaction, current, draft):
        if draft.companions:
            await transaction.put_companions(draft)
        return 200, current
    return (200 if exists else 201), await transaction.put(draft)


async def _same(transaction: Transaction, current: StoredVersion, draft: Draft) -> bool:
    """Nothing but versionId and lastUpdated would change (docs/spec-clarifications/interactions.md)."""
    meta = b'"versionId":"%d","lastUpdated":"%s"' % (current.version_id, format_instant(current.last_updated))
    if current.body != draft.head + meta + draft.tail:
        return False
    content = draft.blob_content
    if content is None or current.blob is None:
        return content is None and current.blob is None
    return current.blob.size == sum(map(len, content)) and await transaction.read_blob(current) == b"".join(content)


async def conditional_update(server: Server, request: Request, resource_type: str) -> Response:
    """R4 http.html#cond-update: none matches: create (under the body's id when it has one); one: update it."""
    resource = await aside(len(request.body), lambda: resource_of(server, request, resource_type))
    condition = conditional_criteria(
        resource_type,
        request.query,
        base_url=request.base_url,
        time_zone=server.settings.time_zone,
        registry=server.registry,
    )
    await foresee(server, request, (condition,))

    async def work(transaction: Transaction) -> tuple[StoredVersion, int, list[Issue]]:
        await check_references(server, transaction, resource)
        warnings = await check_answers(server, transaction, resource)
        match = await sole_match(server, transaction, condition)
        target = target_of(server, resource, match)
        if match is None and "id" in resource:
            await refuse_taken_id(transaction, resource_type, target)
        draft = prepare_for(server, dict(resource), target)
        status, version = await put(server, request, transaction, draft, own_id="id" not in resource)
        return version, status, [*warnings, *await react(server, transaction, version)]

    return written(request, *await server.store.write(request.scope, work))


async def refuse_taken_id(transaction: Transaction, resource_type: str, logical_id: str) -> None:
    """Nothing matched, so something is to be created: never over a resource that does not meet the criteria."""
    current = await transaction.current(resource_type, logical_id)
    if current is not None and current.body is not None:
        raise Conflict(
            f"Nothing matches the criteria, and the body's id is that of another {resource_type}: leave the id out.",
            expression=f"{resource_type}.id",
        )


def target_of(server: Server, resource: dict[str, Any], match: StoredVersion | None) -> str:
    """The id a conditional update writes under. A body id that contradicts the match is a 400."""
    own = resource.get("id")
    if match is not None:
        if own is not None and own != match.logical_id:
            raise FhirError(
                "The criteria match a resource with another id than the body's.",
                code="invalid",
                expression=f"{resource['resourceType']}.id",
            )
        return match.logical_id
    return check_id(own) if own is not None and server.settings.client_ids else new_id()
