"""$meta, $meta-add and $meta-delete: profiles, tags and security labels of one resource.

R4 resource-operation-meta.html, resource-operation-meta-add.html, resource-operation-meta-delete.html. A change makes
a new version, as any change of a resource does here (docs/spec-clarifications/operations.md#op-2).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import partial

from fhir_server.errors import ResourceNotFound
from fhir_server.interactions.answer import present, version_headers
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Response
from fhir_server.interactions.preconditions import check_if_match
from fhir_server.interactions.vread import version_number
from fhir_server.model import json
from fhir_server.operations import labels
from fhir_server.operations.labels import Meta
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.storage.base import StoredVersion, Transaction

Change = Callable[[Meta, Meta], Meta]
"""(meta of the resource, meta given) -> new meta"""


async def meta(call: OperationRequest) -> Response:
    """The meta as a read or vread would show it. Raises ResourceNotFound, ResourceGone."""
    resource_type, logical_id = call.target
    store = call.server.store
    if call.version_id is None:
        version = await store.read(call.scope, resource_type, logical_id)
    else:
        version = await store.vread(call.scope, resource_type, logical_id, version_number(call.version_id))
    if version is None and call.version_id is not None:
        raise ResourceNotFound(f"There is no version {call.version_id} of {resource_type}/{logical_id}.")
    return _answer(present(version, resource_type, logical_id))


async def meta_add(call: OperationRequest) -> Response:
    """Raises ResourceNotFound, ResourceGone; VersionConflict when If-Match names another version."""
    return await _change(call, labels.add)


async def meta_delete(call: OperationRequest) -> Response:
    """Raises ResourceNotFound, ResourceGone; VersionConflict when If-Match names another version."""
    return await _change(call, labels.remove)


async def _change(call: OperationRequest, change: Change) -> Response:
    return _answer(await call.server.store.write(call.scope, partial(_write, call, change)))


async def _write(call: OperationRequest, change: Change, transaction: Transaction) -> StoredVersion:
    resource_type, logical_id = call.target
    version = present(await transaction.current(resource_type, logical_id), resource_type, logical_id)
    check_if_match(call.request, version)
    resource = content_of(version)
    before = resource["meta"]
    after = change(before, call.one("meta") or {})
    if after == before:
        return version
    if version.blob is not None:
        # The data stands outside the row; the new version gets its own copy.
        resource["data"] = b64encode(await transaction.read_blob(version)).decode()
    return await transaction.put(prepare_for(call.server, {**resource, "meta": after}, logical_id))


def _answer(version: StoredVersion) -> Response:
    parameter = {"name": "return", "valueMeta": content_of(version)["meta"]}
    body = json.encode({"resourceType": "Parameters", "parameter": [parameter]})
    return Response(200, body, version_headers(version))
