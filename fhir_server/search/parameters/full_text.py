"""`_text`: words of the narrative as features of the resource, with AND, OR, NOT and parentheses (R4 search.html#text).

either = all ("or" all)*        all = one ("and"? one)*        one = "not" one | "(" either ")" | word
"""

from __future__ import annotations

import re

from fhir_server import spec
from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.features import word, words
from fhir_server.storage.query import And, Features, Not, Or, Predicate
from fhir_server.storage.rows import parameter

_TOKEN = re.compile(r"[()]|[^\s()]+")
MOST_TOKENS = 100
"""Most words, operators and parentheses of one value."""


def narrative(resource_type: str, text: str) -> Predicate:
    """Resources whose narrative has the words of `text`.

    Words that are too short to be indexed do not count. Raises InvalidSearch when there is no other.
    """
    tokens = _TOKEN.findall(text)
    if len(tokens) > MOST_TOKENS:
        raise too_costly(f"'_text' takes at most {MOST_TOKENS} words, operators and parentheses.")
    reader = _Reader(parameter(spec.parameter_number(resource_type, "_text")), tokens)
    found = reader.either()
    if reader.ahead:
        raise InvalidSearch(f"'_text' has a ')' too many in {text[:100]!r}.")
    if found is None:
        raise InvalidSearch(f"'_text' needs a word of three letters or more, got {text[:100]!r}.")
    return found


class _Reader:
    """Reads one expression; a part that names no indexed word is None and leaves the rest as it is."""

    def __init__(self, p: int, tokens: list[str]) -> None:
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
                raise InvalidSearch("'_text' has a '(' that is not closed.")
            return inside
        wanted = words(self._tokens[self._at])
        self._at += 1
        return Features(tuple(word(self._p, one) for one in wanted)) if wanted else None
