"""Where references lead: contained resources, entries of a Bundle, the host (R4 references.html, bundle.html)."""

from __future__ import annotations

import re
from typing import Any

from fhir_server import spec
from fhir_server.fhirpath.evaluation import Evaluation
from fhir_server.fhirpath.node import Item, Node, add_children
from fhir_server.fhirpath.types import type_of_resource

_IN_URL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$", re.ASCII)


def reference_text(item: Item) -> str | None:
    """The literal reference of a Reference, canonical, uri or string."""
    value = item.value if type(item) is Node else item
    text = value.get("reference") if type(value) is dict else value
    return text if type(text) is str and text else None


def reference_type(item: Item) -> str | None:
    """The resource type that a reference names by its URL or its `type`."""
    text = reference_text(item)
    match = _IN_URL.search(text) if text else None
    if match is not None and match[1] in spec.RESOURCE_TYPES:
        return match[1]
    value = item.value if type(item) is Node else None
    named = value.get("type") if type(value) is dict else None
    return named if type(named) is str and named in spec.RESOURCE_TYPES else None


def resolve(evaluation: Evaluation, item: Item) -> Node | None:
    """The resource a reference points at, or None."""
    text = reference_text(item)
    if text is None:
        return None
    start = item if type(item) is Node and item.parent is not None else evaluation.root
    if text.startswith("#"):
        return _contained(start.resource, text[1:])
    found = _in_bundle(evaluation, start, text)
    if found is None and evaluation.services is not None:
        resource = evaluation.services.resolve(text)
        if resource is not None:
            found = Node(resource, type_of_resource(resource))
    return found


def _contained(resource: Node, fragment: str) -> Node | None:
    """`#` alone is the container (R4 references.html#contained)."""
    if resource.key == "contained" and resource.parent is not None:
        resource = resource.parent.resource
    if not fragment:
        return resource
    return _with_id(_below(resource, "contained"), fragment)


def _with_id(candidates: list[Item], logical_id: str) -> Node | None:
    for node in candidates:
        if type(node) is Node and type(node.value) is dict and node.value.get("id") == logical_id:
            return node
    return None


def _below(node: Node, name: str) -> list[Item]:
    out: list[Item] = []
    add_children(out, node.content, node.type.members[name], node)
    return out


def _in_bundle(evaluation: Evaluation, start: Node, text: str) -> Node | None:
    """An entry whose fullUrl the reference is, or, when relative, ends in it on the same base."""
    node: Node | None = start
    entry_url = ""
    while node is not None and node.type.name != "Bundle":
        if node.type.name == "Bundle.entry":
            entry_url = _url(node)
        node = node.parent
    if node is None:
        return None
    bare = text.partition("#")[0].partition("/_history/")[0]
    absolute = bare if ":" in bare else f"{_base(entry_url)}{bare}"
    entries = _below(node, "entry")
    evaluation.charge(len(entries))
    for entry in entries:
        assert type(entry) is Node
        if _url(entry) == absolute or (absolute == bare and _is_local(entry, bare)):
            resources = _below(entry, "resource")
            if resources and type(resources[0]) is Node:
                return resources[0]
    return None


def _is_local(entry: Node, text: str) -> bool:
    resource: Any = entry.value.get("resource") if type(entry.value) is dict else None
    return type(resource) is dict and f"{resource.get('resourceType')}/{resource.get('id')}" == text


def _url(entry: Node) -> str:
    url = entry.value.get("fullUrl") if type(entry.value) is dict else None
    return url if type(url) is str else ""


def _base(url: str) -> str:
    """`http://host/base/` of the fullUrl of a RESTful entry, else nothing."""
    match = _IN_URL.search(url)
    return url[: match.start(1)] if match else ""
