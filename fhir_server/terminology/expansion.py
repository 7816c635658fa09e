"""The expansion of a value set from what it draws on, without I/O (R4 valueset.html#expansion)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from fhir_server.model.identity import token
from fhir_server.terminology.canonical import joined
from fhir_server.terminology.code_system import CodeSystem
from fhir_server.terminology.filters import select
from fhir_server.terminology.refusal import Unanswerable, missing, shown, too_costly, unsupported
from fhir_server.terminology.value_set import BySystem, ConceptSet, ValueSet

MOST_CODES = 100_000
"""Codes of one expansion; a larger one is refused."""

_USABLE = ("complete", "fragment")


@dataclass(frozen=True)
class Expansion:
    """A set of codes. It is shared between requests: nothing in it may be changed."""

    by_system: BySystem
    warnings: tuple[str, ...] = ()
    """What the answer rests on beyond its definition, such as a fragment: for a warning in the outcome."""

    def __len__(self) -> int:
        return sum(map(len, self.by_system.values()))

    def __contains__(self, coding: tuple[str, str]) -> bool:
        system, code = coding
        return code in self.by_system.get(system, ())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((system, code) for system, codes in self.by_system.items() for code in codes)

    def has_code(self, code: str) -> bool:
        """The code is in it, whatever its system."""
        return any(code in codes for codes in self.by_system.values())

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(system, code) of each, in order."""
        return tuple(sorted(self))

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """`identity.token` of each, as index rows have it, ascending."""
        return tuple(sorted(token(system, code) for system, code in self))


@dataclass(frozen=True, slots=True)
class Sources:
    """A value set with the code systems and value sets that its definition names, each already found."""

    value_set: ValueSet
    systems: Mapping[tuple[str, str], CodeSystem | None]
    """(system, version as named) -> the code system; None when it is not stored."""
    imports: Mapping[str, Sources | Unanswerable]
    """canonical -> the value set of compose.include.valueSet, or why there is none"""


Known = dict[int, Expansion]


def expand(sources: Sources) -> Expansion:
    """Raises Unanswerable: something is not stored, not supported or too large.

    The definition counts; a stored expansion is used when there is no definition, or when the definition draws on
    what is not stored or not supported.
    """
    return _expand(sources, {})


def _expand(sources: Sources, known: Known) -> Expansion:
    """`known`: what was expanded already, so that a value set imported by many is expanded once."""
    if id(sources) not in known:
        known[id(sources)] = _expanded(sources, known)
    return known[id(sources)]


def _expanded(sources: Sources, known: Known) -> Expansion:
    value_set = sources.value_set
    if not value_set.includes:
        if value_set.stored is None:
            raise missing(
                f"{shown(value_set.canonical)} has neither a compose nor a whole expansion to take codes from."
            )
        return _bounded(value_set.stored, value_set, ())
    try:
        return _composed(sources, known)
    except Unanswerable as refusal:
        if value_set.stored is None or refusal.issues[0].code == "too-costly":
            raise
        said = f"The codes of {shown(value_set.canonical)} are those of its stored expansion: {refusal}"
        return _bounded(value_set.stored, value_set, (said,))


def _composed(sources: Sources, known: Known) -> Expansion:
    warnings: dict[str, None] = {}
    found: dict[str, set[str]] = {}
    for part in sources.value_set.includes:
        for system, codes in _selected(sources, part, known, warnings).items():
            found.setdefault(system, set()).update(codes)
    for part in sources.value_set.excludes:
        for system, codes in _selected(sources, part, known, warnings).items():
            if system in found:
                found[system] -= codes
    if not sources.value_set.inactive:
        _drop_inactive(sources, found)
    by_system = {system: frozenset(codes) for system, codes in found.items() if codes}
    return _bounded(by_system, sources.value_set, tuple(warnings))


def _selected(sources: Sources, part: ConceptSet, known: Known, warnings: dict[str, None]) -> BySystem:
    """Within one include all criteria apply: the system's and all value sets' (R4 valueset.html#compositions)."""
    chosen: BySystem | None = None
    if part.system:
        chosen = {part.system: _of_system(sources, part, warnings)}
    for canonical in part.value_sets:
        imported_sources = sources.imports[canonical]
        if isinstance(imported_sources, Unanswerable):
            raise imported_sources
        imported = _expand(imported_sources, known)
        warnings.update(dict.fromkeys(imported.warnings))
        if chosen is None:
            chosen = imported.by_system
        else:
            chosen = {system: codes & imported.by_system.get(system, frozenset()) for system, codes in chosen.items()}
    return chosen or {}


def _of_system(sources: Sources, part: ConceptSet, warnings: dict[str, None]) -> frozenset[str]:
    system = sources.systems[part.system, part.version]
    if part.version == "*":
        raise unsupported(f"All versions of a code system together are not supported: {shown(part.system)}|*.")
    if part.codes:
        return _valid(system, part, warnings)
    usable = usable_system(system, joined(part.system, part.version))
    warnings.update(dict.fromkeys(partial(usable)))
    positions = set(range(len(usable.codes)))
    for rule in part.filters:
        positions &= select(usable, rule)
    return usable.code_set(positions)


def _valid(system: CodeSystem | None, part: ConceptSet, warnings: dict[str, None]) -> frozenset[str]:
    """The codes of a list that its code system has; all when there is no saying (R4 valueset.html#expansion)."""
    if system is None or system.content != "complete":
        return frozenset(part.codes)
    unknown = [code for code in part.codes if system.position(code) is None]
    if unknown:
        names = ", ".join(map(shown, unknown[:5]))
        warnings[f"{len(unknown)} codes are not in the code system {shown(system.canonical)}: {names}"] = None
    return frozenset(part.codes).difference(unknown)


def _drop_inactive(sources: Sources, found: dict[str, set[str]]) -> None:
    for (url, _), system in sources.systems.items():
        if system is not None and url in found:
            inactive = [
                one for one in found[url] if (at := system.position(one)) is not None and system.is_inactive(at)
            ]
            found[url].difference_update(inactive)


def usable_system(system: CodeSystem | None, named: str) -> CodeSystem:
    """Raises Unanswerable: the code system is not stored, or without content to select from."""
    if system is None:
        raise missing(f"The code system {shown(named)} is not stored here: store it as a CodeSystem with its concepts.")
    if system.content not in _USABLE:
        raise unsupported(
            f"The code system {shown(system.canonical)} is stored with content {system.content!r}: its concepts are"
            " needed, so store it as complete or as a fragment."
        )
    return system


def partial(system: CodeSystem) -> tuple[str, ...]:
    """R4 valueset.html#expansion: that a fragment was used is to be said."""
    if system.content == "complete":
        return ()
    return (f"The code system {shown(system.canonical)} is a fragment: codes outside of it are not considered.",)


def _bounded(by_system: BySystem, value_set: ValueSet, warnings: tuple[str, ...]) -> Expansion:
    expansion = Expansion(by_system, warnings)
    if len(expansion) > MOST_CODES:
        raise too_costly(f"{shown(value_set.canonical)} has more than {MOST_CODES} codes.")
    return expansion
