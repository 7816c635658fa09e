"""A stored CodeSystem as its concepts: codes, hierarchy and properties (R4 codesystem.html)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.terminology.canonical import Head, head, joined
from fhir_server.terminology.refusal import missing, shown, unsupported

_DEFINED = ("parent", "child", "subsumedBy", "notSelectable", "inactive", "status")
_INACTIVE = frozenset(("retired", "inactive"))

Positions = frozenset[int]
Links = Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """Concepts by position, in the order of the resource."""

    head: Head
    content: str
    case_sensitive: bool
    hierarchy_meaning: str
    codes: tuple[str, ...]
    positions: Mapping[str, int]
    """code -> position; of a system that is not case sensitive also the folded code."""
    parents: Links
    """By nesting and the properties parent and child, whatever the hierarchy means."""
    children: Links
    subsumers: Links
    """By the property subsumedBy, and by `parents` when the hierarchy is declared to be is-a."""
    subsumed: Links
    properties: Mapping[str, Mapping[int, tuple[str, ...]]]
    """code of the property -> position -> values as text; display and definition are among them."""
    declared: frozenset[str]
    """Codes of CodeSystem.property and CodeSystem.filter."""

    @property
    def url(self) -> str:
        return self.head.url

    @property
    def canonical(self) -> str:
        return joined(self.head.url, self.head.version)

    @property
    def weight(self) -> int:
        """How much memory it takes, in concepts and property values."""
        return len(self.codes) + sum(map(len, self.properties.values()))

    def position(self, code: str) -> int | None:
        """R4 codesystem-definitions.html#CodeSystem.caseSensitive."""
        found = self.positions.get(code)
        if found is None and not self.case_sensitive:
            return self.positions.get(code.casefold())
        return found

    def place(self, code: str) -> int:
        """Raises Unanswerable: the code system has no such code."""
        found = self.position(code)
        if found is None:
            raise missing(f"The code system {shown(self.canonical)} has no code {shown(code)!r}.")
        return found

    def below(self, position: int) -> set[int]:
        """The concept and all that it subsumes (R4 codesystem.html#subsumption)."""
        self._check_subsumption()
        return _closure(position, self.subsumed)

    def above(self, position: int) -> set[int]:
        """The concept and all that subsume it."""
        self._check_subsumption()
        return _closure(position, self.subsumers)

    def code_set(self, positions: Iterable[int]) -> frozenset[str]:
        return frozenset([self.codes[position] for position in positions])

    def is_inactive(self, position: int | None) -> bool:
        """By the properties inactive and status (R4 codesystem.html#status); what is not in the system is not."""
        if position is None:
            return False
        if "true" in self.properties.get("inactive", {}).get(position, ()):
            return True
        return not _INACTIVE.isdisjoint(self.properties.get("status", {}).get(position, ()))

    def _check_subsumption(self) -> None:
        """R4: without `hierarchyMeaning` is-a, the hierarchy says nothing about subsumption."""
        if self.parents and not self.subsumers and self.hierarchy_meaning != "is-a":
            said = f"says {self.hierarchy_meaning}" if self.hierarchy_meaning else "does not say"
            raise unsupported(
                f"The code system {shown(self.canonical)} {said} what its hierarchy means: subsumption needs"
                " CodeSystem.hierarchyMeaning to be is-a."
            )


def _closure(start: int, links: Links) -> set[int]:
    """All that is reached from `start`: a cycle ends, what is reached twice counts once."""
    found = {start}
    waiting = [start]
    while waiting:
        for linked in links.get(waiting.pop(), ()):
            if linked not in found:
                found.add(linked)
                waiting.append(linked)
    return found


def code_system(resource: dict[str, Any], seq: int) -> CodeSystem:
    """The CodeSystem `resource`, version `seq` of the store."""
    reading = _Reading(resource)
    own = resource.get("hierarchyMeaning") or ""
    parents, children = _links(reading.links)
    subsuming = reading.links if own == "is-a" else []
    subsumers, subsumed = _links([*subsuming, *reading.subsumptions])
    sensitive = resource.get("caseSensitive") is not False
    positions = {code: position for position, code in enumerate(reading.codes)}
    if not sensitive:
        folded = {code.casefold(): position for position, code in reversed(list(enumerate(reading.codes)))}
        positions = {**folded, **positions}
    reading.add_relatives(parents, children)
    return CodeSystem(
        head(resource, seq),
        resource.get("content") or "",
        sensitive,
        own,
        tuple(reading.codes),
        positions,
        parents,
        children,
        subsumers,
        subsumed,
        reading.properties,
        reading.declared,
    )


@dataclass(slots=True)
class _Reading:
    """One pass over the concepts of a resource."""

    resource: dict[str, Any]
    codes: list[str] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)
    """(parent, child)"""
    subsumptions: list[tuple[int, int]] = field(default_factory=list)
    """(subsumer, subsumed) by the property subsumedBy"""
    properties: dict[str, dict[int, tuple[str, ...]]] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        resource = self.resource
        meanings = {one["code"]: _meaning(one) for one in resource.get("property") or ()}
        self.declared = frozenset(meanings) | {one["code"] for one in resource.get("filter") or ()}
        positions: dict[str, int] = {}
        related: list[tuple[str, int, str]] = []
        waiting = [(one, -1) for one in reversed(resource.get("concept") or ())]
        while waiting:
            concept, parent = waiting.pop()
            code = concept["code"]
            position = positions.setdefault(code, len(self.codes))
            if position == len(self.codes):
                self.codes.append(code)
            if parent >= 0:
                self.links.append((parent, position))
            for name in ("display", "definition"):
                if text := concept.get(name):
                    self._add(name, position, text)
            for one in concept.get("property") or ():
                value = _text(one)
                if value is None:
                    continue
                meaning = meanings.get(one["code"], one["code"])
                if meaning in ("parent", "child", "subsumedBy"):
                    related.append((meaning, position, value))
                else:
                    self._add(one["code"], position, value)
                    if meaning != one["code"] and meaning in ("inactive", "status"):
                        self._add(meaning, position, value)
            waiting += [(one, position) for one in reversed(concept.get("concept") or ())]
        self._relate(related, positions)

    def _add(self, name: str, position: int, value: str) -> None:
        values = self.properties.setdefault(name, {})
        values[position] = (*values.get(position, ()), value)

    def _relate(self, related: list[tuple[str, int, str]], positions: dict[str, int]) -> None:
        """A relation to a code that the system does not have, as in a fragment, is passed over."""
        for meaning, position, code in related:
            other = positions.get(code)
            if other is None:
                continue
            if meaning == "subsumedBy":
                self.subsumptions.append((other, position))
            else:
                self.links.append((other, position) if meaning == "parent" else (position, other))

    def add_relatives(self, parents: Links, children: Links) -> None:
        """R4 codesystem.html#hierarchy: a relation counts the same by nesting and by a property, from either end."""
        for name, links in (("parent", parents), ("child", children)):
            if links:
                codes = {at: tuple(self.codes[other] for other in others) for at, others in links.items()}
                self.properties[name] = codes


def _links(pairs: list[tuple[int, int]]) -> tuple[Links, Links]:
    """(upwards, downwards) of (upper, lower) pairs; what is related to itself is not."""
    upwards: dict[int, dict[int, None]] = {}
    downwards: dict[int, dict[int, None]] = {}
    for upper, lower in pairs:
        if upper != lower:
            upwards.setdefault(lower, {})[upper] = None
            downwards.setdefault(upper, {})[lower] = None
    return _frozen(upwards), _frozen(downwards)


def _frozen(links: dict[int, dict[int, None]]) -> Links:
    return {one: tuple(others) for one, others in links.items()}


def _meaning(definition: dict[str, Any]) -> str:
    """The property of R4's own that a CodeSystem.property is, by its uri; its own code otherwise."""
    uri = definition.get("uri") or ""
    name = uri.rpartition("#")[2]
    return name if name in _DEFINED and "concept-properties#" in uri else str(definition["code"])


def _text(concept_property: dict[str, Any]) -> str | None:
    """The value of a concept.property as filters compare it; None when it has none."""
    for name, value in concept_property.items():
        if not name.startswith("value"):
            continue
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, dict):
            code = value.get("code")
            return None if code is None else str(code)
        return str(value)
    return None
