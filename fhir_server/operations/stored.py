"""The current content of a stored resource, or the refusal that says why there is none."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import ResourceGone, ResourceNotFound
from fhir_server.model.json import parse
from fhir_server.operations.request import OperationRequest
from fhir_server.storage.base import StoredVersion

DEEPEST = 200
"""What was stored was within the limit of its time, which is never above this (settings.max_json_depth)."""


async def current(call: OperationRequest, resource_type: str, logical_id: str) -> dict[str, Any]:
    """Raises ResourceNotFound (404) or ResourceGone (410)."""
    version = await call.server.store.read(call.scope, resource_type, logical_id)
    return content_of(required(version, resource_type, logical_id))


def required(version: StoredVersion | None, resource_type: str, logical_id: str) -> StoredVersion:
    """`version` when it is there and not a deletion."""
    if version is None:
        raise ResourceNotFound(f"There is no {resource_type}/{logical_id}.")
    if version.body is None:
        raise ResourceGone(f"{resource_type}/{logical_id} was deleted.")
    return version


def content_of(version: StoredVersion) -> dict[str, Any]:
    """The resource, its decimals kept."""
    assert version.body is not None
    return parse(version.body, max_depth=DEEPEST)
