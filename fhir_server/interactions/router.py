"""From method and path to the interaction (R4 http.html#summary)."""

from __future__ import annotations

from typing import Any

from fhir_server import spec
from fhir_server.errors import FhirError, MethodNotAllowed, ResourceNotFound
from fhir_server.interactions.async_request import PLACE as ASYNC
from fhir_server.interactions.async_request import ask_again
from fhir_server.interactions.batch import batch
from fhir_server.interactions.binary import accept_content, is_content
from fhir_server.interactions.body import parsed
from fhir_server.interactions.capabilities import capabilities
from fhir_server.interactions.create import create
from fhir_server.interactions.current_registry import with_current_registry
from fhir_server.interactions.delete import conditional_delete, delete
from fhir_server.interactions.exchange import OperationLevel, Request, Response, Server
from fhir_server.interactions.history import history
from fhir_server.interactions.logical_id import check_id
from fhir_server.interactions.patch import conditional_patch, patch
from fhir_server.interactions.read import read
from fhir_server.interactions.search import EVERY_TYPE, search, search_compartment, search_system
from fhir_server.interactions.transaction import transaction
from fhir_server.interactions.update import conditional_update, update
from fhir_server.interactions.vread import vread
from fhir_server.model.aside import aside
from fhir_server.validation import validate


async def dispatch(server: Server, request: Request) -> Response:
    """Carry out `request`. Every refusal is a FhirError."""
    return await with_current_registry(server, lambda: _dispatch(server, request))


async def _dispatch(server: Server, request: Request) -> Response:
    parts = request.path.split("/") if request.path else []
    if parts and parts[-1].startswith("$"):
        return await _operation(server, request, parts)
    if not parts or parts[0].startswith("_") or parts[0] == "metadata":
        return await _system(server, request, parts)
    resource_type = parts[0]
    if resource_type not in spec.RESOURCE_TYPES:
        raise ResourceNotFound(
            f"{resource_type} is not a resource type of FHIR R4 (names are case-sensitive, such as Patient).",
            code="not-supported",
        )
    if request.method in ("POST", "PUT") and resource_type == "Binary" and is_content(request):
        accept_content(request, parts[1] if len(parts) == 2 else None)
    if len(parts) == 1:
        return await _type(server, request, resource_type)
    return await _instance(server, request, resource_type, parts[1:])


def _refuse(request: Request, allowed: str) -> FhirError:
    return MethodNotAllowed(f"{request.method} is not possible here; {allowed} is.", headers={"Allow": allowed})


async def _system(server: Server, request: Request, parts: list[str]) -> Response:
    if not parts:
        if request.method == "GET":
            return await search_system(server, request)
        if request.method != "POST":
            raise _refuse(request, "GET, HEAD, POST")
        return await _bundle(server, request)
    if parts == ["_search"]:
        if request.method != "POST":
            raise _refuse(request, "POST")
        return await search_system(server, request)
    if parts[0] == ASYNC:
        return await ask_again(server, request, parts[1:])
    if request.method != "GET":
        raise _refuse(request, "GET, HEAD")
    if parts == ["metadata"]:
        return capabilities(server, request)
    if parts == ["_history"]:
        return await history(server, request)
    raise ResourceNotFound(f"There is nothing at {'/'.join(parts)[:100]}; see [base]/metadata for what there is.")


async def _bundle(server: Server, request: Request) -> Response:
    if request.in_bundle:
        raise MethodNotAllowed("A Bundle cannot be executed inside a Bundle.")
    sent = await aside(len(request.body), lambda: _read_bundle(server, request))
    execute = batch if sent["type"] == "batch" else transaction
    return await execute(server, request, sent, dispatch)


def _read_bundle(server: Server, request: Request) -> dict[str, Any]:
    """The Bundle, checked as far as it is carried out whole or not at all."""
    sent = parsed(server, request)
    if sent.get("resourceType") != "Bundle" or sent.get("type") not in ("batch", "transaction"):
        raise FhirError(
            "Only a batch or transaction Bundle can be posted to the base URL: post other resources to their type.",
            code="invalid",
            expression="Bundle.type",
        )
    if sent["type"] == "batch":
        _validate_frame(sent)
    else:
        validate(sent)
    return sent


def _validate_frame(sent: dict[str, Any]) -> None:
    """A batch is refused as a whole only for its own structure: a bad resource fails its entry alone."""
    entries = sent.get("entry")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        validate(sent)
        return
    # A stand-in resource keeps entries that hold nothing else from being empty.
    bare = [
        {**entry, "resource": {"resourceType": "Basic", "code": {"text": "-"}}} if "resource" in entry else entry
        for entry in entries
    ]
    validate({**sent, "entry": bare})


async def _type(server: Server, request: Request, resource_type: str) -> Response:
    match request.method:
        case "GET":
            return await search(server, request, resource_type)
        case "POST":
            return await create(server, request, resource_type)
        case "PUT":
            return await conditional_update(server, request, resource_type)
        case "PATCH":
            return await conditional_patch(server, request, resource_type)
        case "DELETE":
            return await conditional_delete(server, request, resource_type)
    raise _refuse(request, "GET, HEAD, POST, PUT, PATCH, DELETE")


async def _instance(server: Server, request: Request, resource_type: str, rest: list[str]) -> Response:
    match rest:
        case ["_search"]:
            if request.method != "POST":
                raise _refuse(request, "POST")
            return await search(server, request, resource_type)
        case ["_history"]:
            if request.method != "GET":
                raise _refuse(request, "GET, HEAD")
            return await history(server, request, resource_type)
        case [logical_id]:
            return await _one(server, request, resource_type, check_id(logical_id))
        case [logical_id, "_history"] if request.method == "GET":
            return await history(server, request, resource_type, check_id(logical_id))
        case [logical_id, "_history", version_id] if request.method == "GET":
            return await vread(server, request, resource_type, check_id(logical_id), version_id)
        case [_, "_history"] | [_, "_history", _]:
            raise _refuse(request, "GET, HEAD")
        case [logical_id, *inner]:
            return await _compartment(server, request, (resource_type, check_id(logical_id)), inner)
    raise _nothing_here()


async def _compartment(server: Server, request: Request, owner: tuple[str, str], rest: list[str]) -> Response:
    """[compartment]/[id]/[type], [type]/_search, * for every type, or _search alone (R4 http.html#vsearch)."""
    posted = rest[-1] == "_search"
    inner = rest[:-1] if posted else rest
    if len(inner) > 1 or (inner and inner[0] != EVERY_TYPE and inner[0] not in spec.RESOURCE_TYPES):
        raise _nothing_here()
    if request.method != ("POST" if posted else "GET"):
        raise _refuse(request, "POST" if posted else "GET, HEAD")
    return await search_compartment(server, request, *owner, inner[0] if inner else EVERY_TYPE)


def _nothing_here() -> ResourceNotFound:
    return ResourceNotFound("There is nothing at this address: see R4 http.html#summary.", code="not-supported")


async def _one(server: Server, request: Request, resource_type: str, logical_id: str) -> Response:
    match request.method:
        case "GET":
            return await read(server, request, resource_type, logical_id)
        case "PUT":
            return await update(server, request, resource_type, logical_id)
        case "PATCH":
            return await patch(server, request, resource_type, logical_id)
        case "DELETE":
            return await delete(server, request, resource_type, logical_id)
    raise _refuse(request, "GET, HEAD, PUT, PATCH, DELETE")


async def _operation(server: Server, request: Request, parts: list[str]) -> Response:
    """[base]/$op, [base]/Type/$op, [base]/Type/id/$op, [base]/Type/id/_history/version/$op"""
    *place, code = parts
    if len(place) > 2 and (len(place) != 4 or place[2] != "_history"):
        raise ResourceNotFound("There is no operation at this address.", code="not-supported")
    levels: tuple[OperationLevel, ...] = ("system", "type", "instance")
    level = levels[min(len(place), 2)]
    resource_type, logical_id, version_id = (*place[:2], *place[3:], None, None, None)[:3]
    if resource_type is not None and resource_type not in spec.RESOURCE_TYPES:
        raise ResourceNotFound(f"{resource_type} is not a resource type of FHIR R4.", code="not-supported")
    if logical_id is not None:
        check_id(logical_id)
    if server.operations is None:
        raise ResourceNotFound("This server offers no operations.", code="not-supported")
    name = code.removeprefix("$")
    return await server.operations.invoke(server, request, level, resource_type, logical_id, version_id, name)
