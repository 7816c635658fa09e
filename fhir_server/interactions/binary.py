"""Binary: content in and out as itself or as a resource (R4 binary.html#rest)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from urllib.parse import quote

from fhir_server.errors import FhirError
from fhir_server.interactions.exchange import FHIR_JSON, JSON_TYPES, OTHER_FHIR_TYPES, Request, Response, Server
from fhir_server.model.json import parse
from fhir_server.storage.base import StoredVersion

_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_ACTIVE = (
    "text/html",
    "application/xhtml+xml",
    "image/svg+xml",
    "text/xml",
    "application/xml",
    "application/javascript",
)


def binary_answer(server: Server, request: Request, version: StoredVersion, headers: dict[str, str]) -> Response:
    """The content, or the resource when the client asked for FHIR JSON."""
    if wants_resource(request):
        if version.blob is None:
            return Response(200, version.body or b"", headers)
        return Response(200, _with_data(server, request, version), headers)
    resource = parse(version.body or b"", max_depth=200)
    # Without a value where an extension says why it is absent.
    media_type = str(resource.get("contentType", ""))
    if not (media_type.isascii() and media_type.isprintable() and _MEDIA_TYPE.match(media_type)):
        media_type = "application/octet-stream"  # a code of FHIR, but nothing a header may hold
    if "securityContext" in resource:
        reference = str(resource["securityContext"].get("reference", ""))
        headers["X-Security-Context"] = quote(reference, safe="/:?#[]@!$&'()*+,;=%|~")
    if media_type.partition(";")[0].strip().lower() in _ACTIVE:
        # What a browser would run in our origin is only ever downloaded.
        headers["Content-Disposition"] = "attachment"
    if version.blob is not None:
        headers["Content-Length"] = str(version.blob.size)
        return Response(200, server.store.read_blob(request.scope, version), headers, media_type)
    return Response(200, b64decode(resource.get("data", "")), headers, media_type)


def wants_resource(request: Request) -> bool:
    if request.in_bundle:
        return True
    for name, value in request.query:
        if name == "_format":
            # An unescaped "+" arrives as a space.
            wanted = value.replace("fhir json", "fhir+json").partition(";")[0].strip().lower()
            return wanted in ("json", *JSON_TYPES)
    accept = request.header("accept") or ""
    return any(part.partition(";")[0].strip().lower() in JSON_TYPES for part in accept.split(","))


async def _with_data(server: Server, request: Request, version: StoredVersion) -> AsyncIterator[bytes]:
    """The stored body with the base64 of its blob put back, chunk by chunk."""
    assert version.blob is not None
    body = version.body or b""
    yield body[: version.blob.offset]
    async for chunk in server.store.read_blob(request.scope, version):
        yield b64encode(chunk)
    yield body[version.blob.offset :]


async def complete_body(server: Server, request: Request, version: StoredVersion) -> bytes:
    """The whole resource as bytes, for a Bundle."""
    if version.blob is None:
        return version.body or b""
    return b"".join([part async for part in _with_data(server, request, version)])


def is_content(request: Request) -> bool:
    """The body of this write to Binary is content, not a resource in JSON."""
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return request.resource is None and media_type not in JSON_TYPES


def accept_content(request: Request, logical_id: str | None) -> None:
    """Turn content into the Binary it stands for; X-Security-Context becomes its securityContext."""
    content_type = (request.header("content-type") or "").strip()
    if content_type.partition(";")[0].strip().lower() in OTHER_FHIR_TYPES:
        raise FhirError(
            "FHIR resources are taken as JSON only: send application/fhir+json.", status=415, code="not-supported"
        )
    if not _MEDIA_TYPE.match(content_type):
        raise FhirError(
            "Content sent to Binary needs a Content-Type such as application/pdf.", status=415, code="not-supported"
        )
    resource: dict[str, object] = {"resourceType": "Binary", "contentType": content_type}
    if logical_id is not None:
        resource["id"] = logical_id
    context = request.header("x-security-context")
    if context:
        if not context.isprintable() or " " in context:
            raise FhirError("X-Security-Context must be one reference, such as Patient/1.", code="value")
        resource["securityContext"] = {"reference": context}
    if request.body:
        resource["data"] = b64encode(request.body).decode()
    request.resource = resource
    request.headers["content-type"] = FHIR_JSON
