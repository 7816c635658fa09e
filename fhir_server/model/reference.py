"""References: their forms, where they stand in a resource, and rewriting them (R4 references.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server import spec

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?(?:#.*)?", re.ASCII)
CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.*)", re.ASCII | re.DOTALL)
"""A conditional reference: type and criteria (R4 http.html#trules)."""
_LINK = re.compile(r"""(\s(?:href|src)\s*=\s*)(["'])(.*?)\2""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ReferenceParts:
    """A literal reference taken apart; a local one has a type and an id."""

    text: str
    resource_type: str = ""
    logical_id: str = ""
    version_id: str | None = None

    @property
    def is_local(self) -> bool:
        return bool(self.resource_type)

    @property
    def is_fragment(self) -> bool:
        """Of a contained resource."""
        return self.text.startswith("#")


def parse_reference(text: str, base_url: str = "") -> ReferenceParts:
    """Relative references, and absolute ones below `base_url`, are local; all others keep their text only."""
    relative = text.removeprefix(f"{base_url}/") if base_url else text
    found = _LOCAL.fullmatch(relative)
    if found is None or found.group(1) not in spec.RESOURCE_TYPES:
        return ReferenceParts(text)
    return ReferenceParts(text, found.group(1), found.group(2), found.group(3))


def references(content: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each object with a literal reference in it, and the key that holds it: (holder, "reference")."""
    stack = [content]
    while stack:
        node = stack.pop()
        if type(node) is dict:
            for key, value in node.items():
                kind = type(value)
                if kind is dict or kind is list:
                    stack.append(value)
                elif key == "reference" and kind is str:
                    yield node, key
        else:
            stack.extend(item for item in node if type(item) is dict or type(item) is list)


def place_of(resource: dict[str, Any], text: str) -> str:
    """Where the first reference `text` stands, as FHIRPath: `Observation.performer[1].reference`. For refusals."""

    def search(node: Any, place: str) -> str | None:
        items = node.items() if type(node) is dict else enumerate(node) if type(node) is list else ()
        for key, value in items:
            below = f"{place}.{key}" if type(node) is dict else f"{place}[{key}]"
            if key == "reference" and value == text:
                return below
            if found := search(value, below):
                return found
        return None

    return search(resource, resource["resourceType"]) or str(resource["resourceType"])


def localise(resource: dict[str, Any], base_url: str) -> None:
    """Make absolute references below `base_url` relative, in place: absolute links are never stored."""
    prefix = f"{base_url}/"
    for holder, key in references(resource):
        text = holder[key]
        if text.startswith(prefix) and parse_reference(text, base_url).is_local:
            holder[key] = text[len(prefix) :]


def rewrite(resource: dict[str, Any], mapping: dict[str, str], base: str = "") -> bool:
    """Replace what stands for other entries of a transaction, in place (R4 http.html#trules).

    `mapping`: fullUrl, urn: URI or Type/id -> the reference it becomes; Type/id is also looked up below `base`.
    Replaced are literal references (a fragment behind them is kept) and links in the narrative. True when another
    string is a key of `mapping`: a URI, or a text that looks like one.
    """
    others = False
    stack: list[Any] = [resource]
    while stack:
        node = stack.pop()
        items = node.items() if type(node) is dict else enumerate(node)
        for key, value in items:
            kind = type(value)
            if kind is dict or kind is list:
                stack.append(value)
            elif kind is not str:
                continue
            elif key == "reference":
                text, mark, fragment = value.partition("#")
                target = mapping.get(text) or mapping.get(f"{base}/{text}")
                if target is not None:
                    node[key] = f"{target}{mark}{fragment}"
            elif key == "div":
                node[key] = _LINK.sub(lambda link: _relinked(link, mapping, base), value)
            elif value in mapping:
                others = True
    return others


def _relinked(link: re.Match[str], mapping: dict[str, str], base: str) -> str:
    before, quote, target = link.groups()
    return f"{before}{quote}{mapping.get(target) or mapping.get(f'{base}/{target}') or target}{quote}"
