"""The index rows of a resource (storage/rows.py says what they are)."""

from __future__ import annotations

from typing import Any

from fhir_server import spec
from fhir_server.model.identity import rid, symbol
from fhir_server.model.json import encode
from fhir_server.search.codegen import Walk, compile_walk
from fhir_server.search.parameters import full_text
from fhir_server.search.primary import primary_date
from fhir_server.search.registry import R4, Registry
from fhir_server.settings import Settings
from fhir_server.storage.contained import contained_id, contained_type, shift_rows
from fhir_server.storage.rows import NO_DATE, Contained, IndexRows, parameter

Compiled = tuple[Walk, int | None, int | None]
"""(walk, row parameter of the primary date, of a canonical url; each None where there is none)."""
DEFAULT_TIME_ZONE: str = Settings.model_fields["time_zone"].default


def extract(resource: dict[str, Any], time_zone: str = DEFAULT_TIME_ZONE, registry: Registry = R4) -> IndexRows:
    """The rows of a valid resource that has its final id and references; dates without a zone are in `time_zone`."""
    rows = _rows(registry, resource, time_zone, resource)
    contained = resource.get("contained")
    if contained and "id" in resource:
        rows.contained = [_contained(registry, one, time_zone, resource) for one in contained if one.get("id")]
    return rows


def _rows(registry: Registry, resource: dict[str, Any], time_zone: str, container: dict[str, Any]) -> IndexRows:
    resource_type = resource["resourceType"]
    walk, primary, url = registry.compiled.get(resource_type) or _compile(registry, resource_type)
    rows = IndexRows()
    walk(resource, rows, time_zone, container)
    if url is not None and resource.get("version"):
        _set_version(rows, url, resource["version"])
    full_text.index(rows, resource)
    if resource_type == "Patient" and "id" in resource:
        rows.compartments.append(rid("Patient", resource["id"]))
    _without_duplicates(rows)
    if primary is not None:
        _set_primary(rows, primary)
    return rows


def _contained(registry: Registry, resource: dict[str, Any], time_zone: str, container: dict[str, Any]) -> Contained:
    rows = _rows(registry, resource, time_zone, container)
    shift_rows(rows)
    logical_id = contained_id(container["resourceType"], container["id"], resource["id"])
    return Contained(contained_type(resource["resourceType"]), logical_id, encode(resource), rows)


def _compile(registry: Registry, resource_type: str) -> Compiled:
    if registry is not R4 and not registry.has_custom(resource_type):
        # Most types have R4's parameters alone: a new snapshot need not compile them again.
        shared: Compiled = R4.compiled.get(resource_type) or _compile(R4, resource_type)
        registry.compiled[resource_type] = shared
        return shared
    known = spec.search_parameters(resource_type)
    url = known.get("url")
    compiled = registry.compiled[resource_type] = (
        compile_walk(registry, resource_type),
        primary_date(resource_type),
        parameter(url.number) if url and "version" in known else None,
    )
    return compiled


def _set_version(rows: IndexRows, url: int, version: str) -> None:
    """Beside its url stands the version of a conformance resource, for those that refer to it by both."""
    rows.texts = [(p, text, symbol(version) if p == url else w) for p, text, w in rows.texts]


def _without_duplicates(rows: IndexRows) -> None:
    numbers, texts, tokens = set(rows.numbers), set(rows.texts), set(rows.tokens)
    if len(numbers) != len(rows.numbers):
        rows.numbers = list(numbers)
    if len(texts) != len(rows.texts):
        rows.texts = list(texts)
    if len(tokens) != len(rows.tokens):
        rows.tokens = list(tokens)
    if len(rows.composites) > 1:
        rows.composites = list(set(rows.composites))
    if rows.features:
        rows.features = list(set(rows.features))
    if len(rows.compartments) > 1:
        rows.compartments = list(set(rows.compartments))


def _set_primary(rows: IndexRows, primary: int) -> None:
    for p, low, high in rows.numbers:
        if p == primary:
            rows.k = low if rows.k == NO_DATE else min(low, rows.k)
            rows.k_high = max(high, rows.k_high)
