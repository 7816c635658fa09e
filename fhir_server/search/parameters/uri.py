"""URIs as exact text rows; a canonical's version stands beside it as w = symbol(version) (R4 search.html#uri).

So does the version of a conformance resource beside its own url (search/extract.py).
"""

from __future__ import annotations

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import symbol
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import Matching, any_of, split, unescape
from fhir_server.search.parameters import canonical
from fhir_server.storage.query import And, NumberIn, Or, Predicate, TextIn, TextPrefix
from fhir_server.storage.rows import TEXT_LIMIT, VARIANT_VALUE, IndexRows, cut

MOST_ABOVE = 1000
"""Longest URL that `:above` takes: each of its starts is looked up."""


def index(rows: IndexRows, p: int, value: str) -> None:
    rows.texts.append((p, cut(value), 0))


def index_canonical(rows: IndexRows, p: int, value: str) -> None:
    canonical.index(rows, p, value, VARIANT_VALUE)


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Resources with one of `values`, below or above it; `url|version` asks for the version too."""
    parts: list[Predicate] = []
    whole: list[str] = []
    for value in values:
        url, version = _url_and_version(definition, value, matching)
        if modifier == "above":
            parts += [_above(source.p, url) for source in definition.sources]
        elif version:
            parts.append(_versioned(definition, url, version, matching, below=modifier == "below"))
        elif modifier:
            parts += [_below(source.p, url) for source in definition.sources]
        else:
            whole.append(cut(url))
    if whole:
        parts += [TextIn(source.p, tuple(whole)) for source in definition.sources]
    return any_of(parts)


def _url_and_version(definition: Definition, value: str, matching: Matching) -> tuple[str, str]:
    """The url and the version that `value` asks for; a relative canonical is of this server (R4 search.html#profile).

    An escaped | belongs to a uri; in a canonical it stands before the version all the same.
    """
    if "canonical" in definition.element_types:
        url, _, version = unescape(value).partition("|")
        return (url if ":" in url or not matching.base_url else f"{matching.base_url}/{url}"), version
    url, *rest = map(unescape, split(value, "|"))
    version = "|".join(rest)
    if version and _version_beside(definition, matching) is None:
        return f"{url}|{version}", ""
    return url, version


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


def _version_beside(definition: Definition, matching: Matching) -> Definition | None:
    """The parameter of the version that stands beside the url of a conformance resource; None for any other uri."""
    return matching.registry.definitions(definition.resource_type).get("version") if definition.code == "url" else None


def _versioned(definition: Definition, url: str, version: str, matching: Matching, *, below: bool) -> Predicate:
    """This url in this version, or in one that begins with its parts (R4 search.html#versions).

    A canonical element holds its version; the url of a conformance resource has it in `version` beside it.
    """
    beside = _version_beside(definition, matching)
    if beside is not None:
        own = any_of([TextIn(source.p, (cut(url),)) for source in definition.sources])
        known = version.casefold()
        same = TextIn(beside.p, (cut(known),))
        return And((own, Or((same, TextPrefix(beside.p, f"{known}."[:TEXT_LIMIT]))) if below else same))
    if below:
        return any_of([canonical.below(source.p, url, version, VARIANT_VALUE) for source in definition.sources])
    return any_of([TextIn(source.p, (cut(url),), symbol(version)) for source in definition.sources])
