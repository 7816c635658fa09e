"""Names for a request that hold no data: the interaction, the route template and the parameter names.

`GET Patient/123/_history/2` is interaction `vread` on route `GET Patient/{id}/_history/{vid}`
(R4 http.html#3.1.0, valueset-restful-interaction.html). What is not a word of FHIR is written as a
placeholder: a path segment or parameter name may well be a patient's.
"""

from __future__ import annotations

from functools import lru_cache

from fhir_server.observability.vocabulary import is_operation, is_parameter_word, is_resource_type

UNKNOWN = "unknown"
_TYPE_INTERACTIONS = {"GET": "search-type", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_INSTANCE_INTERACTIONS = {"GET": "read", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": UNKNOWN}
_SYSTEM_INTERACTIONS = {"GET": "search-system", "POST": "batch-or-transaction", "DELETE": "delete"}


def route_of(method: str, path: str) -> tuple[str, str]:
    """The interaction and the route template of `path` below the FHIR base."""
    resource_type, _, rest = path.partition("/")
    if rest and "/" not in rest and rest[0] not in "$_" and is_resource_type(resource_type):
        return _instance_route(method, resource_type)
    segments = path.split("/") if path else []
    if len(segments) > 8:
        return UNKNOWN, f"{_method(method)} {{path}}"
    return _interaction(method, segments), f"{_method(method)} {'/'.join(_template(segments))}"


def parameter_names(query: list[tuple[str, str]]) -> list[str]:
    """The names of the parameters, in order, without repeats; `?` for one that FHIR does not know."""
    return list(dict.fromkeys(_safe_name(name) if len(name) <= 128 else "?" for name, _ in query))


@lru_cache(maxsize=1024)
def _instance_route(method: str, resource_type: str) -> tuple[str, str]:
    method = _method(method)
    return _INSTANCE_INTERACTIONS.get(method, UNKNOWN), f"{method} {resource_type}/{{id}}"


def _method(method: str) -> str:
    if method == "HEAD":
        return "GET"
    return method if method in _TYPE_INTERACTIONS or method == "OPTIONS" else "OTHER"


def _interaction(method: str, segments: list[str]) -> str:
    method = _method(method)
    if not segments:
        return _SYSTEM_INTERACTIONS.get(method, UNKNOWN)
    last = segments[-1]
    if last.startswith("$"):
        return f"operation-{last[1:]}" if is_operation(last[1:]) else "operation"
    if segments == ["metadata"]:
        return "capabilities"
    if last == "_search":
        return ("search-system", "search-type", "search-compartment")[min(len(segments) - 1, 2)]
    if last == "_history":
        return ("history-system", "history-type", "history-instance")[min(len(segments) - 1, 2)]
    if "_history" in segments:
        return "vread"
    if segments[0] == "_async":
        return "async-request"
    if not is_resource_type(segments[0]):
        return UNKNOWN
    if len(segments) == 1:
        return _TYPE_INTERACTIONS.get(method, UNKNOWN)
    return "search-compartment" if len(segments) == 3 else UNKNOWN


def _template(segments: list[str]) -> list[str]:
    template: list[str] = []
    for segment in segments:
        if is_resource_type(segment) or segment in ("metadata", "_history", "_search", "_async", "*"):
            template.append(segment)
        elif segment.startswith("$"):
            template.append(segment if is_operation(segment[1:]) else "${operation}")
        else:
            template.append("{vid}" if template and template[-1] == "_history" else "{id}")
    return template


@lru_cache(maxsize=4096)
def _safe_name(name: str) -> str:
    """`name` when each of its words (`subject:Patient.name`) is one of FHIR's, else `?`."""
    words = name.replace(":", ".").split(".")
    return name if all(is_parameter_word(word) or is_resource_type(word) for word in words) else "?"
