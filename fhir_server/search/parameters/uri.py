"""URIs as exact text rows; a canonical's version stands beside it as w = symbol(version) (R4 search.html#uri).

So does the version of a conformance resource beside its own url (search/extract.py).
"""

from __future__ import annotations

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import symbol
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import Matching, any_of, split, unescape
from fhir_server.storage.query import And, NumberIn, Predicate, TextIn, TextPrefix
from fhir_server.storage.rows import TEXT_LIMIT, IndexRows, cut

MOST_ABOVE = 1000
"""Longest URL that `:above` takes: each of its starts is looked up."""


def index(rows: IndexRows, p: int, value: str) -> None:
    rows.texts.append((p, cut(value), 0))


def index_canonical(rows: IndexRows, p: int, value: str) -> None:
    url, _, version = value.partition("|")
    rows.texts.append((p, cut(url), symbol(version)))


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Resources with one of `values`, below or above it; `url|version` asks for the version too."""
    if modifier:
        found = _below if modifier == "below" else _above
        return any_of([found(source.p, unescape(value)) for value in values for source in definition.sources])
    whole: list[str] = []
    parts: list[Predicate] = []
    canonical = "canonical" in definition.element_types
    for value in values:
        # An escaped | belongs to a uri; in a canonical it stands before the version all the same.
        url, *rest = unescape(value).split("|") if canonical else map(unescape, split(value, "|"))
        version = "|".join(rest)
        if version:
            parts.append(_versioned(definition, url, version, matching))
        else:
            whole.append(cut(url))
    if whole:
        parts += [TextIn(source.p, tuple(whole)) for source in definition.sources]
    return any_of(parts)


def _below(p: int, url: str) -> Predicate:
    """URLs that begin with `url`; URNs have no hierarchy (R4 search.html#uri)."""
    if len(url) > TEXT_LIMIT:
        # The index keeps the start of a longer one, which others may share.
        raise InvalidSearch(f"':below' takes a URL of at most {TEXT_LIMIT} characters.")
    return _nothing(p) if _is_urn(url) else TextPrefix(p, url)


def _above(p: int, url: str) -> Predicate:
    """URLs that `url` begins with."""
    if len(url) > MOST_ABOVE:
        raise InvalidSearch(f"':above' takes a URL of at most {MOST_ABOVE} characters.")
    return _nothing(p) if _is_urn(url) else TextIn(p, tuple(cut(url[:end]) for end in range(1, len(url) + 1)))


def _is_urn(url: str) -> bool:
    return url.startswith("urn:") or "urn:".startswith(url)


def _nothing(p: int) -> Predicate:
    return NumberIn(p, (0,))


def _versioned(definition: Definition, url: str, version: str, matching: Matching) -> Predicate:
    """A canonical element holds its version; the url of a conformance resource has it in `version` beside it."""
    if "canonical" in definition.element_types:
        return any_of([TextIn(source.p, (cut(url),), symbol(version)) for source in definition.sources])
    beside = matching.registry.definitions(definition.resource_type).get("version")
    if definition.code != "url" or beside is None:
        return any_of([TextIn(source.p, (cut(f"{url}|{version}"),)) for source in definition.sources])
    own = any_of([TextIn(source.p, (cut(url),)) for source in definition.sources])
    return And((own, TextIn(beside.p, (cut(version.casefold()),))))
