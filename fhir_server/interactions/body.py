"""The resource in a request's body: parsed, of the right type and valid (R4 http.html#create, #update)."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import FhirError, InvalidResource, UnparseableBody
from fhir_server.interactions.exchange import Request, Server
from fhir_server.model.json import parse
from fhir_server.model.reference import localise
from fhir_server.validation import validate


def parsed(server: Server, request: Request) -> dict[str, Any]:
    if request.resource is not None:
        return request.resource
    if not request.body:
        raise UnparseableBody("The request has no body: send a resource.")
    return parse(request.body, max_depth=server.settings.max_json_depth)


def resource_of(server: Server, request: Request, resource_type: str) -> dict[str, Any]:
    """The body as a valid `resource_type`; references under our own base made relative.

    Raises UnparseableBody, InvalidResource (400): every issue with its expression.
    """
    resource = parsed(server, request)
    found = resource.get("resourceType")
    if found != resource_type:
        raise InvalidResource(
            f"The body's type is {found} but the URL names {resource_type}."
            if isinstance(found, str)
            else "The body has no resourceType.",
            expression="resourceType",
        )
    validate(resource)
    if request.base_url:
        localise(resource, request.base_url)
    return resource


def check_body_id(resource: dict[str, Any], logical_id: str) -> None:
    """R4 http.html#update: the body's id must be there and be the URL's."""
    found = resource.get("id")
    if found is None:
        raise FhirError(
            f'The body has no id: it must have "id": "{logical_id}", as in the URL.',
            code="required",
            expression=f"{resource['resourceType']}.id",
        )
    if found != logical_id:
        raise FhirError(
            f"The body's id differs from the URL's ({logical_id}).",
            code="invalid",
            expression=f"{resource['resourceType']}.id",
        )
