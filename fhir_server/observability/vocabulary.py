"""The words of FHIR that may stand in a log or a metric: told once at start-up, empty until then."""

from __future__ import annotations

from collections.abc import Iterable

_resource_types: set[str] = set()
_operations: set[str] = set()
_parameter_words: set[str] = {
    # R4 search.html: results, paging, modifiers; http.html general parameters.
    *("_format", "_pretty", "_summary", "_elements", "_count", "_sort", "_total", "_include", "_revinclude", "_page"),
    *("_contained", "_containedType", "_has", "_list", "_type", "_filter", "_since", "_at", "_query", "_cursor"),
    *("missing", "exact", "contains", "text", "not", "in", "not-in", "above", "below", "identifier", "of-type"),
    *("iterate", "recurse", "fhirVersion"),
}


def learn(
    *, resource_types: Iterable[str] = (), operations: Iterable[str] = (), parameters: Iterable[str] = ()
) -> None:
    """Add words; operation names without the dollar sign."""
    _resource_types.update(resource_types)
    _operations.update(operations)
    _parameter_words.update(parameters)


def is_resource_type(word: str) -> bool:
    return word in _resource_types


def is_operation(word: str) -> bool:
    return word in _operations


def is_parameter_word(word: str) -> bool:
    return word in _parameter_words
