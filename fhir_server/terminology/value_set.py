"""A stored ValueSet as its definition and, where it has one, its stored expansion (R4 valueset.html)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.terminology.canonical import Head, head, joined

BySystem = Mapping[str, frozenset[str]]
"""system -> codes; the system is "" where a code has none."""

_NARROWING = frozenset(
    ("filter", "count", "offset", "activeOnly", "excludeNotForUI", "excludePostCoordinated", "exclude-system")
)
"""Parameters of an expansion that leave codes out (R4 valueset-operation-expand.html)."""
_UNFINISHED = ("valueset-toocostly", "valueset-unclosed")


@dataclass(frozen=True, slots=True)
class Filter:
    """One compose.include.filter."""

    property: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """One compose.include or compose.exclude; all that it says holds together."""

    system: str
    version: str
    codes: tuple[str, ...]
    filters: tuple[Filter, ...]
    value_sets: tuple[str, ...]

    @property
    def needs_system(self) -> bool:
        """Its codes come from the code system, not from a list of its own."""
        return bool(self.system) and not self.codes


@dataclass(frozen=True, slots=True)
class ValueSet:
    head: Head
    includes: tuple[ConceptSet, ...]
    excludes: tuple[ConceptSet, ...]
    inactive: bool
    """Whether inactive codes are in it (compose.inactive; R4: generally expected when it is not said)."""
    locked_date: str
    stored: BySystem | None
    """Its stored expansion, when that is whole."""
    weight: int

    @property
    def canonical(self) -> str:
        return joined(self.head.url, self.head.version) or "the value set"

    @property
    def concept_sets(self) -> tuple[ConceptSet, ...]:
        return (*self.includes, *self.excludes)


def value_set(resource: dict[str, Any], seq: int) -> ValueSet:
    """The ValueSet `resource`, version `seq` of the store."""
    compose = resource.get("compose") or {}
    includes = tuple(map(_concept_set, compose.get("include") or ()))
    excludes = tuple(map(_concept_set, compose.get("exclude") or ()))
    stored = _stored(resource.get("expansion"))
    listed = sum(len(one.codes) for one in (*includes, *excludes))
    return ValueSet(
        head(resource, seq),
        includes,
        excludes,
        compose.get("inactive") is not False,
        compose.get("lockedDate") or "",
        stored,
        1 + listed + sum(map(len, (stored or {}).values())),
    )


def listed(url: str, version: str, systems: Mapping[str, tuple[str, ...]]) -> ValueSet:
    """A value set that is a list of codes and nothing else."""
    stored = {system: frozenset(codes) for system, codes in systems.items()}
    weight = sum(map(len, stored.values()))
    return ValueSet(Head(url, version, "active", "", 0), (), (), True, "", stored, weight)


def _concept_set(part: dict[str, Any]) -> ConceptSet:
    return ConceptSet(
        part.get("system") or "",
        part.get("version") or "",
        tuple([one["code"] for one in part.get("concept") or ()]),
        tuple([Filter(one["property"], one["op"], one["value"]) for one in part.get("filter") or ()]),
        tuple(part.get("valueSet") or ()),
    )


def _stored(expansion: dict[str, Any] | None) -> BySystem | None:
    """The codes of a stored expansion; None when it is a page, was narrowed, or could not be finished.

    Abstract codes are in it: they group, and are searched by (R4 valueset-definitions.html).
    """
    if expansion is None or expansion.get("offset"):
        return None
    parameters = expansion.get("parameter") or ()
    if any(_narrows(one) for one in parameters):
        return None
    if any(one.get("url", "").endswith(_UNFINISHED) for one in expansion.get("extension") or ()):
        return None
    found: dict[str, set[str]] = {}
    entries = 0
    for entry in _entries(expansion):
        entries += 1
        if code := entry.get("code"):
            found.setdefault(entry.get("system") or "", set()).add(code)
    if expansion.get("total", 0) > entries:
        return None
    return {system: frozenset(codes) for system, codes in found.items()}


def _narrows(parameter: dict[str, Any]) -> bool:
    values = [value for name, value in parameter.items() if name.startswith("value")]
    return parameter.get("name") in _NARROWING and any(value is not False for value in values)


def _entries(expansion: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting = list(expansion.get("contains") or ())
    while waiting:
        entry = waiting.pop()
        yield entry
        waiting += entry.get("contains") or ()
