"""Terminology questions answered from stored resources (R4 terminologies.html, search.html#token)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fhir_server import spec
from fhir_server.model.identity import rid
from fhir_server.model.reference import parse_reference
from fhir_server.storage.query import IdIn
from fhir_server.terminology import expansion
from fhir_server.terminology.cache import Cache
from fhir_server.terminology.canonical import Head, joined, split
from fhir_server.terminology.code_system import CodeSystem
from fhir_server.terminology.expansion import Expansion, Sources, partial, usable_system
from fhir_server.terminology.library import Library
from fhir_server.terminology.reader import Reader
from fhir_server.terminology.refusal import Unanswerable, missing, shown, too_costly, unsupported
from fhir_server.terminology.value_set import ConceptSet, Filter, ValueSet, listed

KEPT_CONCEPTS = 500_000
"""Concepts, property values and expanded codes that one process keeps parsed; some 200 bytes each."""
MOST_IMPORTS = 200
"""Value sets that one may draw on, directly or not."""
DEEPEST_IMPORT = 30
CONCEPT_BYTES = 100
"""About what a concept takes in a resource: how much work an expansion is."""

_SNOMED = re.compile(r"(http://snomed\.info/sct)((?:/\d+/version/\d+)?)\?fhir_vs(?:=isa/(\d+))?", re.ASCII)
"""Value sets implied by SNOMED CT: everything, or all below a concept (R4 snomedct.html#implicit)."""


class Terminology:
    """One per process: it keeps what it parsed.

    Every method takes the reader that shows what its caller may see, and raises Unanswerable when the stored
    resources do not settle the question.
    """

    def __init__(self, kept_concepts: int = KEPT_CONCEPTS) -> None:
        self._cache = Cache(kept_concepts)

    async def expand(self, value_set: str, reader: Reader, *, base_url: str = "") -> Expansion:
        """All codes of a value set, named by `canonical`, `canonical|version`, `ValueSet/id` or its absolute URL."""
        library = Library(reader, self._cache)
        root = await _named(value_set, library, base_url)
        resolving = _Resolving(library)
        sources = await resolving.sources(root, "", ())
        key = ("expansion", root.head.url, root.head.seq, tuple(resolving.seqs))
        kept = self._kept(key, library)
        if kept is not None:
            return kept
        return self._keep(key, library, await reader.work(resolving.weight * CONCEPT_BYTES, lambda: _expand(sources)))

    async def below(self, system: str | None, code: str, reader: Reader) -> Expansion:
        """The code and all that it subsumes; without a system, in every stored code system that has the code."""
        return await self._related("below", system, code, reader)

    async def above(self, system: str | None, code: str, reader: Reader) -> Expansion:
        """The code and all that subsume it."""
        return await self._related("above", system, code, reader)

    async def subsumes(self, system: str, code_a: str, code_b: str, reader: Reader, *, version: str = "") -> str:
        """equivalent, subsumes, subsumed-by or not-subsumed: what A is to B (R4 codesystem-operation-subsumes.html)."""
        library = Library(reader, self._cache)
        found = usable_system(await library.code_system(system, version), joined(system, version))
        a, b = found.place(code_a), found.place(code_b)
        if a == b:
            return "equivalent"
        if a in found.above(b):
            return "subsumes"
        return "subsumed-by" if b in found.above(a) else "not-subsumed"

    async def member(
        self, value_set: str, system: str | None, code: str, reader: Reader, *, base_url: str = ""
    ) -> bool:
        """Whether the value set has the code, of whatever system when that is None."""
        found = await self.expand(value_set, reader, base_url=base_url)
        return found.has_code(code) if system is None else (system, code) in found

    async def _related(self, way: str, system: str | None, code: str, reader: Reader) -> Expansion:
        library = Library(reader, self._cache)
        if system is not None:
            found = usable_system(await library.code_system(system, ""), system)
            return await self._relatives(way, found, code, library)
        having = [one for one in await library.code_systems() if one.codes and one.position(code) is not None]
        if not having:
            raise missing(f"No stored code system has the code {shown(code)!r}: store it, or name its system.")
        if len(having) == 1:
            return await self._relatives(way, usable_system(having[0], having[0].url), code, library)
        return await self._of_several(way, having, code, library)

    async def _of_several(self, way: str, having: list[CodeSystem], code: str, library: Library) -> Expansion:
        """A code system that does not tell what its hierarchy means adds the code alone, and a warning."""
        by_system: dict[str, frozenset[str]] = {}
        warnings: list[str] = []
        for one in having:
            try:
                found = await self._relatives(way, usable_system(one, one.url), code, library)
            except Unanswerable as refusal:
                by_system[one.url] = one.code_set((one.place(code),))
                warnings.append(str(refusal))
            else:
                by_system.update(found.by_system)
                warnings += found.warnings
        return Expansion(by_system, tuple(warnings))

    async def _relatives(self, way: str, system: CodeSystem, code: str, library: Library) -> Expansion:
        position = system.place(code)
        key = (way, system.head.seq, position)
        kept = self._kept(key, library)
        if kept is not None:
            return kept

        def find() -> Expansion:
            positions = system.below(position) if way == "below" else system.above(position)
            found = Expansion({system.url: system.code_set(positions)}, partial(system))
            _ = found.tokens
            return found

        return self._keep(key, library, await library.reader.work(len(system.codes) * CONCEPT_BYTES, find))

    def _kept(self, key: tuple[object, ...], library: Library) -> Expansion | None:
        found = self._cache.get(key) if library.only_committed else None
        assert found is None or isinstance(found, Expansion)
        return found

    def _keep(self, key: tuple[object, ...], library: Library, found: Expansion) -> Expansion:
        if library.only_committed:
            self._cache.put(key, found, 1 + len(found))
        return found


def _expand(sources: Sources) -> Expansion:
    """With its tokens, so that they are made where the expansion is."""
    found = expansion.expand(sources)
    _ = found.tokens
    return found


@dataclass(slots=True)
class _Resolving:
    """Finds what a value set draws on. `seqs` tells one outcome from another: 0 stands for what is not stored."""

    library: Library
    seqs: list[int] = field(default_factory=list)
    weight: int = 0
    known: dict[tuple[str, str], Sources] = field(default_factory=dict)

    async def sources(self, value_set: ValueSet, locked: str, path: tuple[str, ...]) -> Sources:
        """`locked` is the lockedDate of what imports it, which holds for all below; `path` its importers."""
        locked = value_set.locked_date or locked
        path = (*path, value_set.canonical)
        self.weight += value_set.weight
        systems: dict[tuple[str, str], CodeSystem | None] = {}
        imports: dict[str, Sources | Unanswerable] = {}
        for part in value_set.concept_sets:
            key = (part.system, part.version)
            if part.system and key not in systems:
                systems[key] = await self._system(part, locked)
            for canonical in part.value_sets:
                if canonical not in imports:
                    imports[canonical] = await self._import(canonical, locked, path)
        return Sources(value_set, systems, imports)

    async def _system(self, part: ConceptSet, locked: str) -> CodeSystem | None:
        found = await self.library.code_system(part.system, part.version, locked)
        self.seqs.append(found.head.seq if found else 0)
        self.weight += found.weight if found else 0
        return found

    async def _import(self, canonical: str, locked: str, path: tuple[str, ...]) -> Sources | Unanswerable:
        """A value set that is not there is no failure yet: a stored expansion may stand in."""
        try:
            found = await _logical(canonical, self.library, locked)
        except Unanswerable as refusal:
            self.seqs.append(0)
            return refusal
        if found.canonical in path:
            raise unsupported(f"The value set {shown(found.canonical)} draws on itself: {shown(' > '.join(path))}.")
        if (canonical, locked) in self.known:
            return self.known[canonical, locked]
        self.seqs.append(found.head.seq)
        if len(self.known) >= MOST_IMPORTS or len(path) >= DEEPEST_IMPORT:
            raise too_costly(
                f"A value set may draw on {MOST_IMPORTS} others, {DEEPEST_IMPORT} deep: {shown(path[0])} goes beyond."
            )
        self.known[canonical, locked] = await self.sources(found, locked, path)
        return self.known[canonical, locked]


async def _named(text: str, library: Library, base_url: str) -> ValueSet:
    """R4 search.html#token: a literal reference where it can be one, else the canonical of a value set."""
    literal = parse_reference(text, base_url)
    if literal.is_local and literal.resource_type == "ValueSet":
        if literal.version_id is not None:
            raise unsupported(
                f"{shown(text)}: a value set is named without a version of the resource, or by canonical."
            )
        found = await library.value_set_at(IdIn((rid("ValueSet", literal.logical_id),)))
        if found is not None:
            return found
        if text == f"ValueSet/{literal.logical_id}":
            raise missing(f"{shown(text)} is not stored here.")
    return await _logical(text, library, "")


async def _logical(canonical: str, library: Library, locked: str) -> ValueSet:
    """A stored value set, one that R4 binds to its own elements, or one that SNOMED CT implies."""
    if canonical.startswith("#"):
        raise unsupported(f"A contained value set is not supported: {shown(canonical)}.")
    url, version = split(canonical)
    found = await library.value_set(url, version, locked)
    if found is not None:
        return found
    codes = spec.codes(url)
    if codes is not None and version in ("", spec.manifest().source["version"]):
        return listed(url, version, codes)
    if (implied := _SNOMED.fullmatch(url)) and not version:
        system, edition, concept = implied.groups()
        filters = (Filter("concept", "is-a", concept),) if concept else ()
        part = ConceptSet(system, f"{system}{edition}" if edition else "", (), filters, ())
        return ValueSet(Head(url, "", "active", "", 0), (part,), (), True, "", None, 1)
    raise missing(f"The value set {shown(canonical)} is not stored here: store it as a ValueSet with this url.")
