"""Value sets and hierarchies of stored CodeSystem and ValueSet resources, listed code by code.

R4 search.html#token (`:in`, `:not-in`, `:below`, `:above`), valueset.html#compositions, codesystem.html#subsumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.oracle import matching
from tests.oracle.expressions import Json
from tests.oracle.matching import Context, Test, split, unescape
from tests.oracle.ranges import Refused

Code = tuple[str, str]


class Terminology:
    def __init__(self, systems: Iterable[Json], value_sets: Iterable[Json]) -> None:
        self._systems = {one["url"]: one for one in systems if "url" in one}
        self._sets = list(value_sets)

    def member(self, url: str, context: Context) -> Test:
        """`:in`: codings of the value set that has this id or url."""
        members = self._expansion(self._value_set(url, context.base_url))
        return lambda value: any((each.system, each.code) in members for each in matching.tokens(value, context))

    def subsumed(self, text: str, context: Context) -> Test:
        """`:below` system|code: the code and what is-a it."""
        system, code = self._concept(text)
        wanted = {(system, each) for each in self._descendants(system, code)}
        return lambda value: any((each.system, each.code) in wanted for each in matching.tokens(value, context))

    def subsumes(self, text: str, context: Context) -> Test:
        """`:above` system|code: the code and what it is-a."""
        system, code = self._concept(text)
        wanted = {(system, parent) for parent in self._codes(system) if code in self._descendants(system, parent)}
        return lambda value: any((each.system, each.code) in wanted for each in matching.tokens(value, context))

    def _concept(self, text: str) -> Code:
        parts = [unescape(part) for part in split(text, "|")]
        if len(parts) != 2 or not all(parts) or parts[0] not in self._systems:
            raise Refused(f"no system|code of a stored CodeSystem: {text!r}")
        return parts[0], parts[1]

    def _value_set(self, url: str, base_url: str) -> Json:
        wanted, _, version = url.partition("|")
        here = matching.literal(wanted, base_url)
        for one in self._sets:
            if here == ("ValueSet", one["id"]):
                return one
            if one.get("url") == wanted and (not version or one.get("version") == version):
                return one
        raise Refused(f"no value set {url}")

    def _expansion(self, value_set: Json) -> set[Code]:
        compose = value_set.get("compose", {})
        included = set().union(*map(self._component, compose.get("include", [])))
        return included.difference(*map(self._component, compose.get("exclude", [])))

    def _component(self, component: Json) -> set[Code]:
        """What satisfies all of system, concepts, filters and value sets (R4 valueset.html#compositions)."""
        parts: list[set[Code]] = [self._expansion(self._value_set(url, "")) for url in component.get("valueSet", [])]
        system = component.get("system")
        if system and "concept" in component:
            parts.append({(system, each["code"]) for each in component["concept"]})
        elif system:
            codes = set(self._codes(system))
            for one in component.get("filter", []):
                assert one["op"] in ("is-a", "descendent-of"), one
                below = set(self._descendants(system, one["value"]))
                codes &= below - ({one["value"]} if one["op"] == "descendent-of" else set())
            parts.append({(system, code) for code in codes})
        return set.intersection(*parts)

    def _codes(self, system: str) -> list[str]:
        return [concept["code"] for concept in _all(self._systems.get(system, {}).get("concept", []))]

    def _descendants(self, system: str, code: str) -> list[str]:
        for concept in _all(self._systems.get(system, {}).get("concept", [])):
            if concept["code"] == code:
                return [code, *(each["code"] for each in _all(concept.get("concept", [])))]
        return []


def _all(concepts: list[Json]) -> Iterator[Json]:
    for concept in concepts:
        yield concept
        yield from _all(concept.get("concept", []))
