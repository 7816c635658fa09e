"""Resource $validate: all issues of a resource, and whether a create, update or delete would be accepted.

R4 resource-operation-validate.html. 200 whatever is found; a 4xx means that nothing was validated.
"""

from __future__ import annotations

from typing import Any

from fhir_server.errors import FhirError, InvalidResource, Issue, operation_outcome
from fhir_server.interactions.answer import present
from fhir_server.interactions.body import check_body_id
from fhir_server.interactions.exchange import Response
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.preconditions import check_if_match
from fhir_server.interactions.questionnaire_answers import Forms, is_checked
from fhir_server.model import json
from fhir_server.model.aside import aside
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.terminology.reader import StoreReader
from fhir_server.validation import issues

MODES = ("create", "update", "delete", "profile")
"""R4 valueset-resource-validation-mode.html"""
INSTANCE_MODES = ("update", "delete", "profile")
BASE_PROFILE = "http://hl7.org/fhir/StructureDefinition/"


async def validate(call: OperationRequest) -> Response:
    """Raises InvalidResource, FhirError (422 not-supported for a profile), ResourceNotFound, ResourceGone."""
    mode = _mode(call)
    if mode == "delete":
        found = await _issues_of_delete(call)
    else:
        resource = await _resource(call, mode)
        _check_profile(call.one("profile"), resource)
        found = [*_issues_of_type(call, resource), *await aside(len(call.request.body), lambda: issues(resource))]
        if not found and mode in ("create", "update"):
            found = await _issues_of_write(call, mode, resource)
    return Response(200, json.encode(operation_outcome(found or [_ALL_OK])))


_ALL_OK = Issue(
    "informational",
    "No issues were found. Checked are structure, data types, required codes and narrative;"
    " most invariants, profiles and other value sets are not.",
    severity="information",
)


def _mode(call: OperationRequest) -> str | None:
    mode: str | None = call.one("mode")
    if mode is None:
        return None
    if mode not in MODES:
        raise InvalidResource(f"mode is one of {', '.join(MODES)}.", code="code-invalid")
    if mode in INSTANCE_MODES and call.level != "instance":
        raise InvalidResource(f"mode={mode} is about one resource: call [type]/[id]/$validate.")
    return mode


async def _resource(call: OperationRequest, mode: str | None) -> dict[str, Any]:
    """What is validated: the resource sent, or for mode=profile the stored one."""
    sent: dict[str, Any] | None = call.one("resource")
    if mode == "profile":
        if sent is not None:
            raise InvalidResource("mode=profile validates the stored resource: leave out resource.")
        resource_type, logical_id = call.target
        version = await call.server.store.read(call.scope, resource_type, logical_id)
        return content_of(present(version, resource_type, logical_id))
    if sent is None:
        raise InvalidResource("Send the resource to validate, alone or as parameter resource.", code="required")
    return sent


def _check_profile(profile: str | None, resource: dict[str, Any]) -> None:
    """A profile that cannot be validated against is an error, never ignored (R4, parameter profile)."""
    base = f"{BASE_PROFILE}{resource['resourceType']}"
    if profile is not None and profile not in (base, f"{base}|4.0.1", f"{base}|4.0"):
        raise FhirError(
            f"This server does not validate against profiles: leave profile out, or name {base}.",
            status=422,
            code="not-supported",
        )


def _issues_of_type(call: OperationRequest, resource: dict[str, Any]) -> list[Issue]:
    found = resource["resourceType"]
    if call.resource_type in (None, found):
        return []
    return [Issue("invalid", f"The resource's type is {found} but the URL names {call.resource_type}.", found)]


async def _issues_of_write(call: OperationRequest, mode: str, resource: dict[str, Any]) -> list[Issue]:
    """What would stand against storing this valid resource now."""
    server = call.server
    try:
        if mode == "update":
            check_body_id(resource, call.target[1])
            current = await server.store.read(call.scope, *call.target)
            check_if_match(call.request, current)
            if current is None and not server.settings.client_ids:
                return [Issue("not-supported", "This server does not let clients choose ids: create with POST.")]
        if server.settings.enforce_references:
            await server.store.write(call.scope, lambda transaction: check_references(server, transaction, resource))
        if is_checked(server, resource["resourceType"]):
            return await Forms(server, StoreReader(server.store, call.scope)).check(resource)
    except FhirError as refusal:
        return refusal.issues
    return []


async def _issues_of_delete(call: OperationRequest) -> list[Issue]:
    version = await call.server.store.read(call.scope, *call.target)
    try:
        check_if_match(call.request, version)
    except FhirError as refusal:
        return refusal.issues
    if version is None:
        return [Issue("not-found", f"There is no {'/'.join(call.target)} to delete.")]
    return []
