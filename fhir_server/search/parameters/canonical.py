"""Versions of canonicals, whole and by their parts for `:below` (R4 search.html#versions).

A canonical is a text row of its url with w = symbol(version), beside number rows of the url and each start of the
version. Parameters of type uri and reference differ in where the text row stands.
"""

from __future__ import annotations

from fhir_server.model.identity import hash64, symbol
from fhir_server.storage.query import NumberIn, Or, Predicate, TextIn
from fhir_server.storage.rows import VARIANT_VERSION, IndexRows, cut

MOST_VERSION_PARTS = 8
"""Most parts of a version that `:below` tells apart."""


def index(rows: IndexRows, p: int, value: str, variant: int) -> None:
    """`url` or `url|version` of the parameter `p`, whose text rows are of `variant`."""
    url, _, version = value.partition("|")
    rows.texts.append((p + variant, cut(url), symbol(version)))
    if "." in version:
        parts = version.split(".")[:MOST_VERSION_PARTS]
        starts = [".".join(parts[:count]) for count in range(1, len(parts))]
        rows.numbers += [(p + VARIANT_VERSION, _version_start(url, start), 0) for start in starts]


def below(p: int, url: str, version: str, variant: int) -> Predicate:
    """Canonicals of this url whose version begins with the parts given; without a version all of them."""
    if not version:
        return TextIn(p + variant, (cut(url),))
    same = TextIn(p + variant, (cut(url),), symbol(version))
    return Or((same, NumberIn(p + VARIANT_VERSION, (_version_start(url, version),))))


def _version_start(url: str, start: str) -> int:
    return hash64(f"{url}|{start}".encode())
