"""`_text` and `_content`: words of the narrative, and of all texts, as features of the resource (R4 search.html#text).

Texts are strings and markdown, and the narrative; codes, ids, URIs and dates are not. Values have AND, OR, NOT and
parentheses:

either = all ("or" all)*        all = one ("and"? one)*        one = "not" one | "(" either ")" | word
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from fhir_server import spec
from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.model.identity import LONGEST_CACHED
from fhir_server.search.features import word, words
from fhir_server.storage.query import And, Features, Not, Or, Predicate
from fhir_server.storage.rows import IndexRows, parameter

_TOKEN = re.compile(r"[()]|[^\s()]+")
MOST_TOKENS = 100
"""Most words, operators and parentheses of one value."""


_TEXTS = frozenset(("string", "markdown"))
_NAMES = frozenset(("id", "reference", "linkId"))
"""Strings that name something else than people do."""


def index(rows: IndexRows, resource: dict[str, Any]) -> None:
    """The words of a resource; what it contains has rows of its own."""
    text, content, keys = _compiled(resource["resourceType"])
    features = rows.features
    for found in _texts(resource, keys):
        features += _words(content, found) if len(found) <= LONGEST_CACHED else _words.__wrapped__(content, found)
    narrative = (resource.get("text") or {}).get("div") if text is not None else None
    if narrative:
        told = words(narrative)
        features += [word(text or 0, one) for one in told]
        features += [word(content, one) for one in told]


@lru_cache(maxsize=32768)
def _words(p: int, text: str) -> tuple[int, ...]:
    """The features of the words of one text: most texts stand in many resources."""
    return tuple([word(p, one) for one in words(text)])


def match(resource_type: str, code: str, text: str) -> Predicate:
    """Resources that have the words of `text`, in their narrative or anywhere as `code` says.

    Words that are too short to be indexed do not count. Raises InvalidSearch when there is no other.
    """
    tokens = _TOKEN.findall(text)
    if len(tokens) > MOST_TOKENS:
        raise too_costly(f"'{code}' takes at most {MOST_TOKENS} words, operators and parentheses.")
    reader = _Reader(code, parameter(spec.parameter_number(resource_type, code)), tokens)
    found = reader.either()
    if reader.ahead:
        raise InvalidSearch(f"'{code}' has a ')' too many in {text[:100]!r}.")
    if found is None:
        raise InvalidSearch(f"'{code}' needs a word of three letters or more, got {text[:100]!r}.")
    return found


class _Reader:
    """Reads one expression; a part that names no indexed word is None and leaves the rest as it is."""

    def __init__(self, code: str, p: int, tokens: list[str]) -> None:
        self._code = code
        self._p = p
        self._tokens = tokens
        self._at = 0

    @property
    def ahead(self) -> str:
        """The next token, operators in lower case; "" at the end."""
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _took(self, token: str) -> bool:
        found = self.ahead == token
        self._at += found
        return found

    def either(self) -> Predicate | None:
        parts = [self._all()]
        while self._took("or"):
            parts.append(self._all())
        known = [part for part in parts if part is not None]
        return Or(tuple(known)) if len(known) > 1 else known[0] if known else None

    def _all(self) -> Predicate | None:
        parts: list[Predicate] = []
        features: list[int] = []
        while self.ahead not in ("", ")", "or"):
            if self._took("and"):
                continue
            found = self._one()
            if isinstance(found, Features):
                features += found.items
            elif found is not None:
                parts.append(found)
        if features:
            parts.insert(0, Features(tuple(dict.fromkeys(features))))
        return And(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None

    def _one(self) -> Predicate | None:
        if self._took("not"):
            found = self._one() if self.ahead not in ("", ")") else None
            return None if found is None else Not(found)
        if self._took("("):
            inside = self.either()
            if not self._took(")"):
                raise InvalidSearch(f"'{self._code}' has a '(' that is not closed.")
            return inside
        wanted = words(self._tokens[self._at])
        self._at += 1
        return Features(tuple(word(self._p, one) for one in wanted)) if wanted else None


@cache
def _compiled(resource_type: str) -> tuple[int | None, int, frozenset[str]]:
    """(row parameter of `_text`, where the type has narratives; of `_content`; keys that hold texts)."""
    known = spec.search_parameters(resource_type)
    text = parameter(known["_text"].number) if "_text" in known else None
    return text, parameter(known["_content"].number), frozenset(_keys(resource_type, set())) - _NAMES


def _keys(type_name: str, seen: set[str]) -> Iterator[str]:
    """JSON keys of the texts in a type, at whatever depth. A key that holds a text anywhere holds one everywhere."""
    seen.add(type_name)
    for path, element in spec.structure(type_name).elements.items():
        name = path.rpartition(".")[2]
        for inner in element.types:
            if inner in _TEXTS:
                yield name.removesuffix("[x]") + (inner.capitalize() if name.endswith("[x]") else "")
            elif inner not in seen and spec.is_type(inner) and spec.structure(inner).kind == "complex-type":
                yield from _keys(inner, seen)


def _texts(resource: dict[str, Any], keys: frozenset[str]) -> list[str]:
    found: list[str] = []
    below: list[Any] = [resource]
    for node in below:  # which grows meanwhile
        for key, value in node.items():
            kind = type(value)
            if kind is str:
                if key in keys:
                    found.append(value)
            elif kind is dict:
                below.append(value)
            elif kind is list and key != "contained":
                for item in value:
                    if type(item) is dict:
                        below.append(item)
                    elif key in keys and item:
                        found.append(item)
    return found
