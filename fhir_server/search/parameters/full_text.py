"""`_text`: words of the narrative as features of the resource (R4 search.html#text)."""

from __future__ import annotations

from fhir_server import spec
from fhir_server.errors import InvalidSearch
from fhir_server.search.features import word, words
from fhir_server.storage.query import Features, Predicate
from fhir_server.storage.rows import parameter


def narrative(resource_type: str, text: str) -> Predicate:
    """Resources whose narrative has every word of `text`. Raises InvalidSearch when `text` has no word to look for."""
    wanted = words(text)
    if not wanted:
        raise InvalidSearch(f"'_text' needs a word of three letters or more, got {text[:100]!r}.")
    p = parameter(spec.parameter_number(resource_type, "_text"))
    return Features(tuple(word(p, one) for one in wanted))
