"""capabilities: what this server does, generated from what it is made of (R4 http.html#capabilities)."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fhir_server import spec
from fhir_server.errors import InvalidSearch
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.model.json import encode
from fhir_server.search.compartment import COMPARTMENTS
from fhir_server.search.declared import Declared, declared, declared_of_all, includes, of_any_type, reverse_includes
from fhir_server.search.registry import Registry

DATE = "2026-11-24"
"""When what the statement says last changed."""

TYPE_INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)  # fmt: skip
SYSTEM_INTERACTIONS = ("transaction", "batch", "search-system", "history-system")


def capabilities(server: Server, request: Request) -> Response:
    """The CapabilityStatement; `mode=full` is the only one there is."""
    for name, value in request.query:
        if name == "mode" and value != "full":
            raise InvalidSearch(f"The mode {value[:40]} is not supported: leave it out.", code="not-supported")
    operations = tuple(server.operations.declared()) if server.operations is not None else ()
    statement, tag = _statement(request.base_url, server.settings.client_ids, operations, server.registry)
    if tag in (request.header("if-none-match") or ""):
        return Response(304, b"", {"ETag": tag})
    return Response(200, statement, {"ETag": tag})


@lru_cache(maxsize=8)
def _statement(
    base_url: str, client_ids: bool, operations: tuple[tuple[str | None, str, str], ...], registry: Registry
) -> tuple[bytes, str]:
    """The statement and its ETag, which changes with it (R4 http.html#capabilities)."""
    rest = {
        "mode": "server",
        "documentation": "Referral, care plans, questionnaires and their scores for musculoskeletal care."
        " _revinclude of every type but Parameters takes, beside what searchRevInclude names:"
        f" {', '.join(of_any_type(registry))}.",
        "resource": [_resource(name, client_ids, operations, registry) for name in sorted(spec.RESOURCE_TYPES)],
        "interaction": [{"code": code} for code in SYSTEM_INTERACTIONS],
        "searchParam": [_search_parameter(one) for one in declared_of_all(registry)],
        "operation": _operations(None, operations),
        "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{name.lower()}" for name in COMPARTMENTS],
    }
    statement = encode(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": DATE,
            "kind": "instance",
            "software": {"name": "fhir-server-msk", "version": _version()},
            "implementation": {"description": "An open FHIR R4 server for musculoskeletal care", "url": base_url},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "json"],
            "patchFormat": ["application/fhir+json", "application/json-patch+json"],
            "rest": [{key: value for key, value in rest.items() if value}],
        }
    )
    return statement, f'W/"{blake2b(statement, digest_size=8).hexdigest()}"'


def _resource(
    name: str, client_ids: bool, operations: tuple[tuple[str | None, str, str], ...], registry: Registry
) -> dict[str, Any]:
    own = _operations(name, operations)
    found = {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        "interaction": [{"code": code} for code in TYPE_INTERACTIONS],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": client_ids,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": includes(name, registry),
        "searchRevInclude": reverse_includes(name, registry),
        "searchParam": [_search_parameter(one) for one in declared(name, registry)],
    }
    return {key: value for key, value in found.items() if value != []} | ({"operation": own} if own else {})


def _search_parameter(one: Declared) -> dict[str, str]:
    found = {"name": one.name, "type": one.search_type} | ({"definition": one.url} if one.url else {})
    if one.modifiers:  # R4 has no element for them
        found["documentation"] = f"Modifiers: {', '.join(f':{modifier}' for modifier in one.modifiers)}."
    return found


def _operations(name: str | None, operations: tuple[tuple[str | None, str, str], ...]) -> list[dict[str, str]]:
    """Those of the type, and those of every type; of the system when `name` is None."""
    wanted = (None,) if name is None else (name, "Resource")
    return [
        {"name": code, "definition": definition}
        for resource_type, code, definition in operations
        if resource_type in wanted
    ]


def _version() -> str:
    try:
        return version("fhir-server-msk")
    except PackageNotFoundError:
        return "0"
