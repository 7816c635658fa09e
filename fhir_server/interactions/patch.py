"""patch and conditional patch with JSON Patch and FHIRPath Patch (R4 http.html#patch)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from fhir_server.errors import FhirError, Issue, ResourceNotFound, TooLarge, UnparseableBody, UnsupportedMediaType
from fhir_server.interactions import fhirpath_patch, json_patch
from fhir_server.interactions.answer import present, written
from fhir_server.interactions.condition import foresee, sole_match
from fhir_server.interactions.consequences import react
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import JSON_TYPES, Request, Response, Server
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.preconditions import check_if_match
from fhir_server.interactions.questionnaire_answers import check_answers
from fhir_server.interactions.update import put
from fhir_server.model.aside import aside
from fhir_server.model.json import parse, parse_array
from fhir_server.model.reference import localise
from fhir_server.search.conditional import conditional_criteria
from fhir_server.storage.base import Draft, StoredVersion, Transaction
from fhir_server.validation import validate

JSON_PATCH = "application/json-patch+json"


async def patch(server: Server, request: Request, resource_type: str, logical_id: str) -> Response:
    """200 with the patched resource. Refused whole when an operation does not fit or the result is not valid."""
    operations = operations_of(server, request)

    async def work(transaction: Transaction) -> tuple[StoredVersion, int, list[Issue]]:
        return await _patch_checked(server, request, transaction, (resource_type, logical_id), operations)

    return written(request, *await server.store.write(request.scope, work))


async def conditional_patch(server: Server, request: Request, resource_type: str) -> Response:
    """Patches the one match; none is a 404, several a 412."""
    operations = operations_of(server, request)
    condition = conditional_criteria(
        resource_type,
        request.query,
        base_url=request.base_url,
        time_zone=server.settings.time_zone,
        registry=server.registry,
    )
    await foresee(server, request, (condition,))

    async def work(transaction: Transaction) -> tuple[StoredVersion, int, list[Issue]]:
        match = await sole_match(server, transaction, condition)
        if match is None:
            raise ResourceNotFound(f"No {resource_type} matches the criteria.")
        return await _patch_checked(server, request, transaction, (resource_type, match.logical_id), operations)

    return written(request, *await server.store.write(request.scope, work))


async def _patch_checked(
    server: Server, request: Request, transaction: Transaction, target: tuple[str, str], operations: Any
) -> tuple[StoredVersion, int, list[Issue]]:
    patched, version = await patch_one(server, request, transaction, target, operations)
    warnings = await check_answers(server, transaction, patched)
    return version, 200, [*warnings, *await react(server, transaction, version)]


def operations_of(server: Server, request: Request) -> Any:
    """The patch: an array is a JSON Patch, a Parameters resource a FHIRPath Patch.

    In a Bundle entry the one stands in a Binary, whose contentType names its kind, the other as it is
    (R4 http.html#patch).
    """
    if request.resource is not None:
        return _operations_of_entry(server, request.resource)
    if (request.header("content-type") or "").partition(";")[0].strip().lower() in JSON_TYPES:
        return _parameters(parse(request.body, max_depth=server.settings.max_json_depth))
    return parse_array(request.body, max_depth=server.settings.max_json_depth)


def _operations_of_entry(server: Server, resource: dict[str, Any]) -> Any:
    if resource.get("resourceType") == "Parameters":
        return resource
    kind = str(resource.get("contentType", "")).partition(";")[0].strip()
    if resource.get("resourceType") != "Binary" or kind != JSON_PATCH:
        raise UnsupportedMediaType(
            f"A patch in a Bundle is a Parameters resource (FHIRPath Patch) or a Binary with contentType {JSON_PATCH}."
        )
    try:
        body = b64decode(resource.get("data", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnparseableBody("The Binary's data is not base64.", expression="Binary.data") from error
    return parse_array(body, max_depth=server.settings.max_json_depth)


def _parameters(resource: dict[str, Any]) -> dict[str, Any]:
    if resource.get("resourceType") != "Parameters":
        raise FhirError(
            f"A FHIRPath Patch is a Parameters resource; a JSON Patch is sent as {JSON_PATCH}.", code="invalid"
        )
    validate(resource)
    return resource


async def patch_one(
    server: Server, request: Request, transaction: Transaction, target: tuple[str, str], operations: Any
) -> tuple[dict[str, Any], StoredVersion]:
    """The patched resource, and the version it is stored as. Whether its answers fit is for the caller to see."""
    current = present(await transaction.current(*target), *target)
    check_if_match(request, current)
    body = current.body or b""
    if current.blob is not None:
        raise FhirError(
            "A Binary of this size cannot be patched: replace it with PUT.", status=422, code="not-supported"
        )
    patched, draft = await aside(
        len(body) + len(request.body), lambda: _patched(server, request.base_url, body, operations)
    )
    await check_references(server, transaction, patched)
    _, version = await put(server, request, transaction, draft)
    return patched, version


def _patched(server: Server, base_url: str, body: bytes, operations: Any) -> tuple[dict[str, Any], Draft]:
    """The stored `body` with the operations applied, valid and indexed."""
    settings = server.settings
    resource = parse(body, max_depth=settings.max_json_depth)
    kind = json_patch if isinstance(operations, list) else fhirpath_patch
    patched = kind.apply(resource, operations)
    _drop_outdated_narrative(resource, patched)
    for key in ("resourceType", "id"):
        if patched.get(key) != resource[key]:
            raise FhirError(f"A patch cannot change {key}.", status=422, code="business-rule", expression=key)
    try:
        validate(patched)
    except FhirError as error:
        raise FhirError(f"The patched resource would not be valid: {error}", status=422, issues=error.issues) from error
    if base_url:
        localise(patched, base_url)
    draft = prepare_for(server, patched, str(patched["id"]))
    if len(draft.head) + len(draft.tail) > settings.max_body_bytes:
        raise TooLarge(f"The patched resource would be larger than {settings.max_body_bytes} bytes.")
    return patched, draft


def _drop_outdated_narrative(before: dict[str, Any], patched: dict[str, Any]) -> None:
    """A narrative generated from data that the patch changed may no longer be safe (R4 http.html#patch)."""
    text = patched.get("text")
    if (
        text == before.get("text")
        and patched != before
        and isinstance(text, dict)
        and text.get("status") == "generated"
    ):
        del patched["text"]
