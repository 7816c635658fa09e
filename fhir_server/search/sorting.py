"""What `_sort` can order by (R4 search.html#sort)."""

from __future__ import annotations

from functools import lru_cache

from fhir_server.model.identity import LONGEST_CACHED
from fhir_server.search.definitions import Definition
from fhir_server.search.parameters.token import CODED_TYPES
from fhir_server.search.primary import primary_date
from fhir_server.search.registry import Registry
from fhir_server.storage.query import SortKey

_KINDS = {
    "date": "number",
    "number": "number",
    "quantity": "number",
    "string": "text",
    "uri": "text",
    "token": "token",
    "reference": "reference",
}


def is_sortable(registry: Registry, types: tuple[str, ...], code: str) -> bool:
    """All the types have this order, of values that compare with each other."""
    if len(code) > LONGEST_CACHED:
        return False
    keys = [sort_key(registry, one, code, descending=False) for one in types]
    return None not in keys and len({_ORDER.get(key.kind, key.kind) for key in keys if key}) == 1


_ORDER = {"primary_date": "number"}
"""The primary date is a date like others."""


@lru_cache(maxsize=4096)
def sort_key(registry: Registry, resource_type: str, code: str, *, descending: bool) -> SortKey | None:
    """The store's key for one rule; None when the parameter has no order of its own (composites, places)."""
    if code == "_lastUpdated":
        return SortKey("last_updated", descending)
    if code == "_id":
        return SortKey("id", descending)
    definition = registry.definitions(resource_type).get(code)
    kind = _kind(definition) if definition else None
    if definition is None or kind is None:
        return None
    ps = tuple(source.p for source in definition.sources)
    if ps == (primary_date(resource_type),):
        return SortKey("primary_date", descending)
    return SortKey(kind, descending, ps)


def _kind(definition: Definition) -> str | None:
    if definition.search_type == "token" and not definition.element_types & CODED_TYPES:
        return "text"
    return _KINDS.get(definition.search_type)
