"""What stands for an entry in the other entries of a transaction (R4 http.html#trules, bundle.html#references)."""

from __future__ import annotations

import re
from typing import Any

from fhir_server.model.reference import rewrite
from fhir_server.validation.structure import ANY_RESOURCE, shape

_RESTFUL = re.compile(r"(.+)/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})", re.ASCII)
_REPLACED = frozenset({"uri", "url", "oid", "uuid"})
"""Not canonical, says R4, and no text that only looks like a URI (Identifier.value)."""


def split_full_url(full_url: str | None, resource_type: str) -> tuple[str, str] | None:
    """Base and id of `[base]/[resource_type]/[id]`; None for other URIs."""
    found = _RESTFUL.fullmatch(full_url or "")
    return (found[1], found[3]) if found and found[2] == resource_type else None


def relink(resource: dict[str, Any], mapping: dict[str, str], base: str = "") -> None:
    """Put what `mapping` says into references, narrative links and elements of a URI type, in place.

    `base`: where relative references begin.
    """
    if rewrite(resource, mapping, base):
        _rewrite_uris(resource, resource["resourceType"], mapping)


def _rewrite_uris(content: dict[str, Any], path: str, mapping: dict[str, str]) -> None:
    fields = shape(path).fields
    for key, value in content.items():
        field = fields.get(key.removeprefix("_"))
        if field is None:
            continue
        places: list[tuple[Any, Any]] = [(content, key)]
        if type(value) is list:
            places = [(value, n) for n in range(len(value))]
        for holder, at in places:
            item = holder[at]
            if type(item) is dict:
                inside = "Element" if field.primitive else field.type_name
                _rewrite_uris(item, item["resourceType"] if inside == ANY_RESOURCE else inside, mapping)
            elif field.type_name in _REPLACED:
                holder[at] = mapping.get(item, item)
