"""Parts of resources: `_summary` and `_elements` (R4 search.html#summary, #elements; http.html#parameters)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_server import spec
from fhir_server.errors import InvalidSearch
from fhir_server.interactions.exchange import Request, Server
from fhir_server.model.json import decode, encode
from fhir_server.search.controls import CONTROLS

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
"""The tag that keeps a part of a resource from being taken for the whole."""
_ALWAYS = frozenset(("resourceType", "id", "meta", "implicitRules", "modifierExtension"))
"""What every subset keeps: identity, the tag, and what changes the meaning of the rest."""
PARAMETERS = ("_summary", "_elements")


@dataclass(frozen=True, slots=True)
class Subset:
    """What is wanted of a resource."""

    summary: str = ""
    """true, text or data; "" for everything."""
    elements: tuple[str, ...] = ()
    """Names of elements at the root; () for all."""

    def __bool__(self) -> bool:
        return bool(self.summary or self.elements)

    def of(self, body: bytes) -> bytes:
        """The wanted part of a resource, marked as a part."""
        return encode(self._of(decode(body))) if self else body

    def _of(self, resource: dict[str, Any]) -> dict[str, Any]:
        resource_type = resource["resourceType"]
        match self.summary:
            case "true":
                resource = _summarised(resource, resource_type)
            case "text":
                resource = _only(resource, _mandatory(resource_type) | {"text"})
            case "data":
                resource = {key: value for key, value in resource.items() if key not in ("text", "_text")}
        if self.elements:
            resource = _only(resource, _mandatory(resource_type) | _keys(resource_type, self.elements))
        meta = resource.get("meta") or {}
        tags = meta.get("tag") or []
        if not any(tag.get("system") == SUBSETTED["system"] and tag.get("code") == "SUBSETTED" for tag in tags):
            resource["meta"] = {**meta, "tag": [*tags, SUBSETTED]}
        return resource


WHOLE = Subset()


def read_subset(server: Server, request: Request, types: tuple[str, ...]) -> Subset:
    """What `_summary` and `_elements` ask for of resources of `types`, outside of a search.

    Raises InvalidSearch for what they do not take: there is no outcome to name it in.
    """
    changes: dict[str, Any] = {}
    for name, value in request.query:
        if name not in PARAMETERS:
            continue
        if name == "_summary" and value == "count":
            raise InvalidSearch("_summary=count is for searches only: leave it out.")
        honoured = CONTROLS[name](server.registry, types, changes, value)
        if honoured.ignored:
            raise InvalidSearch(honoured.ignored[0])
        changes |= honoured.changes
    return Subset(**changes)


def _only(resource: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key in _ALWAYS or key.removeprefix("_") in wanted}


@lru_cache(maxsize=1024)
def _keys(resource_type: str, names: Sequence[str]) -> frozenset[str]:
    """The JSON keys of the elements named; a name with dots stands for its element at the root."""
    roots = {name.partition(".")[0] for name in names}
    children = spec.structure(resource_type).children[resource_type]
    named = [(name, element) for name, element in children.items() if name.removesuffix("[x]") in roots]
    return frozenset(key for name, element in named for key in _json_keys(name, element))


@lru_cache(maxsize=256)
def _mandatory(resource_type: str) -> frozenset[str]:
    children = spec.structure(resource_type).children[resource_type]
    return frozenset(key for name, element in children.items() if element.min > 0 for key in _json_keys(name, element))


def _json_keys(name: str, element: spec.Element) -> list[str]:
    """`valueQuantity` and its like for `value[x]`."""
    if not name.endswith("[x]"):
        return [name]
    return [name[:-3] + one[:1].upper() + one[1:] for one in element.types]


def _summarised(value: dict[str, Any], path: str) -> dict[str, Any]:
    """The elements of the summary, all the way down, and those without which the rest is invalid or misread."""
    below = _summary(path)
    found = {}
    for key, content in value.items():
        inner = below.get(key.removeprefix("_"))
        if inner is None:
            if key == "resourceType":
                found[key] = content
            continue
        part = _each(content, inner) if inner and not key.startswith("_") else content
        if part not in ({}, []):
            found[key] = part
    return found


def _each(content: Any, path: str) -> Any:
    if isinstance(content, list):
        return [kept for one in content if (kept := _each(one, path))]
    return _summarised(content, path) if isinstance(content, dict) else content


@lru_cache(maxsize=2048)
def _summary(path: str) -> dict[str, str]:
    """JSON key -> where the children of the element are defined ("" when all of it is kept), for what is kept."""
    kept = {}
    for name, element in spec.structure(path.partition(".")[0]).children.get(path, {}).items():
        if not (element.summary or element.modifier or element.min > 0):
            continue
        types = element.types or ("",)
        for key, type_name in zip(_json_keys(name, element), types if name.endswith("[x]") else types[:1], strict=True):
            kept[key] = _definition_of(f"{path}.{name}", element, type_name)
    return kept


def _definition_of(path: str, element: spec.Element, type_name: str) -> str:
    if element.content:
        return element.content
    if type_name in ("BackboneElement", "Element"):
        return path
    known = spec.is_type(type_name) and spec.structure(type_name).kind == "complex-type"
    return type_name if known and type_name not in ("Extension", "Meta") else ""
