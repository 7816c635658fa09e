"""What a canonical may point at: shipped artefacts, R4's own, and the named ones of other packages (external.json)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from fhir_server import spec
from fhir_server.content_check.artefacts import Artefact

_EXTERNAL = Path(__file__).with_name("external.json")


class External(msgspec.Struct, frozen=True):
    """A package that is not shipped, and what is used of it."""

    package: str
    reason: str
    """Why it is not shipped."""
    canonicals: frozenset[str] = frozenset()
    code_systems: dict[str, frozenset[str] | None] = {}
    """url -> the codes used; None: too many to list here, so that they are not checked."""


class Catalogue:
    """Looks up canonicals, code systems and value sets."""

    def __init__(self, artefacts: Iterable[Artefact]) -> None:
        self._shipped: dict[str, dict[str, dict[str, Any]]] = {}
        for artefact in artefacts:
            if artefact.resource is not None:
                url, version = artefact.canonical
                self._shipped.setdefault(url, {})[version] = artefact.resource
        self._external = msgspec.json.decode(_EXTERNAL.read_bytes(), type=list[External])
        self._published = spec.published()
        self._parameters = frozenset(
            parameter.url for name in spec.RESOURCE_TYPES for parameter in spec.search_parameters(name).values()
        )
        self.unchecked: Counter[str] = Counter()
        """Codes that could not be looked up, by system."""

    def shipped(self, canonical: str) -> dict[str, Any] | None:
        """The resource of ours; without a version, any."""
        url, bar, version = canonical.partition("|")
        versions = self._shipped.get(url, {})
        return versions.get(version) if bar else next(iter(versions.values()), None)

    def beginning(self, start: str) -> list[dict[str, Any]]:
        """The resources of ours whose `url|version` begins so."""
        return [
            resource
            for url, versions in self._shipped.items()
            for version, resource in versions.items()
            if f"{url}|{version}".startswith(start)
        ]

    def fault_of(self, canonical: str) -> str | None:
        """Why nothing is known under `canonical`; None when it resolves."""
        bare = canonical.partition("#")[0]
        url = bare.partition("|")[0]
        if self.shipped(bare) is not None or self._is_published(url) or self._is_external(url):
            return None
        if versions := self._shipped.get(url):
            return f"{bare} is not shipped: there is {', '.join(sorted(versions))} of it."
        return f"{bare} is neither shipped, nor R4's, nor named in external.json."

    def _is_published(self, url: str) -> bool:
        known = self._published
        kinds = (known.structure_definition, known.value_set, known.operation_definition, known.concept_map)
        return url in known.code_system or url in self._parameters or any(url in kind for kind in kinds)

    def _is_external(self, url: str) -> bool:
        return any(url in one.canonicals or url in one.code_systems for one in self._external)

    def is_extension(self, url: str) -> bool:
        """Whether a definition of an extension is known under `url`; those of others are trusted to be one."""
        found = self.shipped(url)
        if found is not None:
            return found.get("resourceType") == "StructureDefinition" and found.get("type") == "Extension"
        return url in self._published.structure_definition or any(url in one.canonicals for one in self._external)

    def knows_system(self, system: str) -> bool:
        found = self.shipped(system)
        return (
            (found is not None and found.get("resourceType") == "CodeSystem")
            or system in self._published.code_system
            or any(system in one.code_systems for one in self._external)
        )

    def codes(self, system: str) -> frozenset[str] | None:
        """All codes of a system; None when they are not known."""
        found = self.shipped(system)
        if found is not None:
            return frozenset(codes_of(found.get("concept", ())))
        if system in self._published.code_system:
            return self._published.code_system[system]
        return next((one.code_systems[system] for one in self._external if system in one.code_systems), None)

    def fault_of_code(self, system: str, code: str) -> str | None:
        """Why `code` cannot be used; None when it is there, or when the system's codes are not known."""
        if not self.knows_system(system):
            return f"The code system {system} is neither shipped, nor R4's, nor named in external.json."
        codes = self.codes(system)
        if codes is None:
            self.unchecked[system] += 1
            return None
        return None if code in codes else f"{system} has no code {code}."

    def members(self, value_set: str) -> frozenset[str] | None:
        """The codes of a value set, whatever their system; None when they are not known."""
        found = self.shipped(value_set)
        if found is None:
            listed = spec.codes(value_set.partition("|")[0])
            return frozenset(code for codes in listed.values() for code in codes) if listed else None
        collected: set[str] = set()
        for include in found.get("compose", {}).get("include", ()):
            part = self._included(include)
            if part is None:
                return None
            collected |= part
        return frozenset(collected)

    def _included(self, include: dict[str, Any]) -> frozenset[str] | None:
        if "filter" in include or ("valueSet" in include and "system" in include):
            return None
        if "concept" in include:
            return frozenset(concept["code"] for concept in include["concept"])
        if "system" in include:
            return self.codes(include["system"])
        parts = [self.members(canonical) for canonical in include.get("valueSet", ())]
        known = [part for part in parts if part is not None]
        return frozenset().union(*known) if len(known) == len(parts) else None

    def reason(self, system: str) -> str:
        """Why the codes of a system are not checked."""
        for one in self._external:
            if system in one.code_systems:
                return f"{one.package}: {one.reason}"
        return "R4 does not list its codes"


def codes_of(concepts: Iterable[dict[str, Any]]) -> list[str]:
    """The codes of a tree of concepts."""
    return [code for concept in concepts for code in (concept["code"], *codes_of(concept.get("concept", ())))]
