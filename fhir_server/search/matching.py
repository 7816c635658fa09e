"""What the parameter types share when they read a value: escapes, prefixes, unions and the context of the search."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_server.errors import InvalidSearch
from fhir_server.search.registry import R4, Registry
from fhir_server.storage.query import Or, Predicate


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a search needs of stored resources, read beforehand (search/knowledge.py)."""

    tokens: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    """(modifier, value as sent) -> the tokens it stands for: of a value set (`in`), or below or above a code."""
    lists: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Value of `_list` -> (type, id) of each of its entries."""
    hierarchies: Mapping[tuple[str, tuple[str, ...]], Mapping[str, frozenset[int]]] = field(default_factory=dict)
    """(modifier, values as sent) of a reference -> type -> the resources meant, with all above or below them."""
    types: frozenset[str] | None = None
    """Types of which there is something, or was; None where it does not matter."""
    warnings: tuple[str, ...] = ()
    """What the codes rest on beyond the definition that was named (R4 valueset.html#expansion)."""


NOTHING = Knowledge()

_ESCAPE = re.compile(r"\\([\\,|$])?")
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matching:
    """Where the search runs: the server's base URL (absolute references to it are local) and its time zone."""

    base_url: str
    time_zone: str
    knowledge: Knowledge = NOTHING
    registry: Registry = R4


def any_of(parts: list[Predicate]) -> Predicate:
    """The disjunction of `parts`, of which there is at least one."""
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def split(text: str, separator: str) -> list[str]:
    """The parts of `text` between unescaped `separator`s, still escaped (R4 search.html#escaping)."""
    if "\\" not in text:
        return text.split(separator)
    parts, start = [], 0
    for found in re.finditer(r"\\.?|" + re.escape(separator), text, re.DOTALL):
        if found[0] == separator:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    """`text` without its escapes. Raises InvalidSearch: a lone backslash is illegal (R4 search.html#escaping)."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    if found[1] is None:
        raise InvalidSearch(
            "A backslash in a search value escapes one of \\ , | $ and nothing else; write \\\\ for a backslash."
        )
    return found[1]


def prefix_of(text: str) -> tuple[str, str]:
    """(prefix, rest) of an ordered value; the prefix is eq when none is written (R4 search.html#prefix)."""
    match = _PREFIXED.fullmatch(text)
    return (match[1], match[2]) if match else ("eq", text)


def unusable(code: str, value: str, expected: str) -> InvalidSearch:
    """The refusal of a value, which is named as the caller sent it and cut because it may be long."""
    return InvalidSearch(f"The value {value[:100]!r} of the search parameter '{code}' is not {expected}.")
