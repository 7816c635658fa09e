"""The current content of a stored resource, as operations work with it."""

from __future__ import annotations

import sys
from typing import Any

from fhir_server.interactions.answer import present
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.model.json import parse
from fhir_server.operations.request import OperationRequest
from fhir_server.storage.base import StoredVersion, Transaction

ANY_DEPTH = sys.maxsize
"""What was stored had its depth checked when it came in, which costs milliseconds for a large resource."""


async def current(call: OperationRequest, resource_type: str, logical_id: str) -> dict[str, Any]:
    """Raises ResourceNotFound (404) or ResourceGone (410)."""
    version = await call.server.store.read(call.scope, resource_type, logical_id)
    return content_of(present(version, resource_type, logical_id))


def content_of(version: StoredVersion) -> dict[str, Any]:
    """The resource of a version that is no deletion, its decimals kept."""
    assert version.body is not None
    return parse(version.body, max_depth=ANY_DEPTH)


async def put_json(
    server: Server, transaction: Transaction, resource: dict[str, Any], *, fresh: bool = False
) -> dict[str, Any]:
    """`resource` as stored; `fresh`: its id was just made here."""
    return content_of(await transaction.put(prepare_for(server, resource, resource["id"], fresh=fresh)))
