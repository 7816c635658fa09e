"""$import: files of resources are fetched and stored in the background.

SMART's draft "Bulk Import by manifest" (smart-on-fhir/bulk-import, import-manifest.md) with a Parameters resource, as
HAPI FHIR takes it. What is asked for is checked here; the work is done by bulk/imports/.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from fhir_server import spec
from fhir_server.errors import Forbidden, InvalidResource
from fhir_server.interactions.answer import present
from fhir_server.interactions.async_request import accept
from fhir_server.interactions.exchange import Response
from fhir_server.model.reference import parse_reference
from fhir_server.operations.import_plan import KIND, Input, Plan
from fhir_server.operations.request import OperationRequest
from fhir_server.settings import Settings

_FORMATS = ("application/fhir+ndjson", "application/ndjson")


async def import_files(call: OperationRequest) -> Response:
    """202. Raises InvalidResource (400), Forbidden (403), ResourceNotFound, ResourceGone, Overloaded."""
    input_format = call.one("inputFormat") or _FORMATS[0]
    if input_format not in _FORMATS:
        raise InvalidResource(f"inputFormat is one of {', '.join(_FORMATS)}.", code="not-supported")
    storage = call.one("storageDetail")
    if storage is not None and storage["type"] != ["https"]:
        raise InvalidResource("storageDetail.type: files are fetched by https only.", code="not-supported")
    inputs = [
        await _input(call, one, f"Parameters.parameter.where(name='input')[{n}]")
        for n, one in enumerate(call.many("input"))
    ]
    plan = Plan(tuple(inputs), str(call.one("inputSource") or "").rstrip("/"))
    return await accept(call.server, call.request, KIND, msgspec.json.encode(plan))


async def _input(call: OperationRequest, given: dict[str, Any], place: str) -> Input:
    (resource_type,), (url,) = given["type"], given["url"]
    if resource_type not in spec.RESOURCE_TYPES:
        raise InvalidResource(f"{resource_type[:100]} is no resource type of R4.", expression=place, code="value")
    target = parse_reference(url, call.request.base_url)
    if target.is_local and target.resource_type == "Binary":
        found = present(
            await call.server.store.read(call.scope, "Binary", target.logical_id), "Binary", target.logical_id
        )
        return Input(resource_type, url, (found.logical_id, found.version_id))
    check_source(url, call.server.settings, place)
    return Input(resource_type, url)


def check_source(url: str, settings: Settings, place: str | None = None) -> None:
    """Raises Forbidden (403) for a URL from which this server is not set to fetch."""
    allowed = [one.strip() for one in settings.import_sources.split(",") if one.strip()]
    if any(_is_below(url, one) for one in allowed):
        return
    where = f"They are fetched from below {', '.join(allowed)}" if allowed else "The setting import_sources names none"
    raise Forbidden(
        f"Files are not fetched from there. {where}; or store the file as a Binary here and name it: Binary/[id].",
        expression=place,
    )


def _is_below(url: str, base: str) -> bool:
    """Origin and path of `base` begin `url`, which has no name and password, and no way back up."""
    try:
        given, allowed = urlsplit(url), urlsplit(base)
        origins = [(one.scheme, one.hostname, one.port) for one in (given, allowed)]
    except ValueError:
        return False
    path = unquote(given.path)
    if "@" in given.netloc or ".." in path.split("/") or "\\" in path:
        return False
    return origins[0] == origins[1] and path.startswith(f"{allowed.path.rstrip('/')}/")
