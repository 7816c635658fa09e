"""Answers made of stored versions: their headers, and what a write returns (R4 http.html#versioning, #ops)."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.errors import Issue, ResourceGone, ResourceNotFound, operation_outcome
from fhir_server.interactions.exchange import Request, Response
from fhir_server.interactions.preconditions import etag
from fhir_server.interactions.prefer import return_preference
from fhir_server.model.instant import MICROS, http_date
from fhir_server.model.json import encode
from fhir_server.storage.base import StoredVersion


def version_headers(version: StoredVersion) -> dict[str, str]:
    return {"ETag": etag(version), "Last-Modified": http_date(version.last_updated // MICROS)}


def location(request: Request, version: StoredVersion) -> str:
    """Absolute over HTTP, with the version (R4 http.html#create)."""
    return f"{request.base_url}/{version.resource_type}/{version.logical_id}/_history/{version.version_id}"


def present(version: StoredVersion | None, resource_type: str, logical_id: str) -> StoredVersion:
    """`version` when there is one and it is not a deletion; else 404 or 410."""
    if version is None:
        raise ResourceNotFound(f"There is no {resource_type} with the id {logical_id}.")
    if version.body is None:
        gone = ResourceGone(f"{resource_type}/{logical_id} was deleted; its history may still be read.")
        gone.headers = version_headers(version)
        raise gone
    return version


def written(request: Request, version: StoredVersion, status: int, warnings: Sequence[Issue] = ()) -> Response:
    """The answer to a create or update: what Prefer: return asks for, with ETag, Last-Modified and Location.

    An OperationOutcome has the `warnings` too. A Binary whose content is kept beside it is not sent back: the client
    has just sent it.
    """
    headers = version_headers(version)
    headers["Location"] = location(request, version)
    wanted = return_preference(request)
    if wanted == "minimal" or (wanted == "representation" and version.blob is not None):
        return Response(status, b"", headers, version=version)
    if wanted == "OperationOutcome":
        verb = "was created" if status == 201 else "is stored"
        text = f"{version.resource_type}/{version.logical_id} {verb} as version {version.version_id}."
        outcome = operation_outcome([Issue("informational", text, severity="information"), *warnings])
        return Response(status, encode(outcome), headers, outcome=outcome, version=version)
    return Response(status, version.body or b"", headers, version=version)
