"""Strings as folded text rows matched by their start (R4 search.html#string); w is the hash of the unfolded string."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

from fhir_server.model.identity import LONGEST_CACHED, hash64
from fhir_server.search.definitions import Definition
from fhir_server.search.features import trigrams
from fhir_server.search.matching import Matching, any_of, unescape, unusable
from fhir_server.storage.query import Predicate, TextPrefix
from fhir_server.storage.rows import TEXT_LIMIT, IndexRows, cut

_SEPARATORS = re.compile(r"[\s\-‐-―_/]+")
_ASCII_PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,.:;<=>?@[\\]^`{|}~")
_LETTERS = str.maketrans(
    {"ł": "l", "đ": "d", "ø": "o", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ı": "i"}
)
"""Letters that Unicode does not take apart although users look for them without what sets them apart."""
_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def fold(text: str) -> str:
    """`text` without case, accents and punctuation; dashes, slashes and runs of white space become one space."""
    return _fold(text) if len(text) <= LONGEST_CACHED else _fold.__wrapped__(text)


@lru_cache(maxsize=16384)
def _fold(text: str) -> str:
    if text.isascii():
        plain = text.translate(_ASCII_PUNCTUATION)
    else:
        decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_LETTERS)
        plain = "".join(
            c
            for c in decomposed
            if not unicodedata.combining(c) and (unicodedata.category(c)[0] != "P" or _SEPARATORS.match(c))
        )
    # Folded last: some letters (ß, ſt) fold to several, and a fold can leave capitals of other scripts decomposed.
    return _SEPARATORS.sub(" ", plain).strip().casefold()


@lru_cache(maxsize=16384)
def _row(text: str) -> tuple[str, int]:
    return cut(fold(text)), hash64(text.encode())


def index(rows: IndexRows, p: int, text: str) -> None:
    value, exact = _row(text) if len(text) <= LONGEST_CACHED else _row.__wrapped__(text)
    if value:
        rows.texts.append((p, value, exact))
        rows.features += trigrams(p, value)


MOST_FAMILY_PARTS = 16
"""Parts of a family name that are found on their own; later ones only as part of the whole."""


def index_name(rows: IndexRows, p: int, name: dict[str, Any]) -> None:
    """Every string of a HumanName; the parts of a family name on their own too."""
    _index_parts(rows, p, name, _NAME_PARTS)
    family = name.get("family")
    if family:
        index_family(rows, p, family)


def index_family(rows: IndexRows, p: int, family: str) -> None:
    """A family name and each later part of it (R4 search.html#string: Carreno Quinones is found by Quinones)."""
    index(rows, p, family)
    for part in _SEPARATORS.split(family, MOST_FAMILY_PARTS)[1:MOST_FAMILY_PARTS]:
        if part:
            index(rows, p, part)


def index_address(rows: IndexRows, p: int, address: dict[str, Any]) -> None:
    _index_parts(rows, p, address, _ADDRESS_PARTS)


def _index_parts(rows: IndexRows, p: int, value: dict[str, Any], parts: tuple[str, ...]) -> None:
    for part in parts:
        found = value.get(part)
        if isinstance(found, str):
            index(rows, p, found)
        else:
            for text in found or ():
                if text:
                    index(rows, p, text)


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Resources with a string that starts with one of `values`."""
    del modifier, matching
    parts: list[Predicate] = []
    for value in values:
        prefix = search_prefix(definition.code, value)
        parts += [TextPrefix(source.p, prefix) for source in definition.sources]
    return any_of(parts)


def search_prefix(code: str, value: str) -> str:
    """The start a folded string must have; cut where indexed strings are. Raises InvalidSearch when nothing is left."""
    prefix = fold(unescape(value))[:TEXT_LIMIT]
    if not prefix:
        raise unusable(code, value, "a string with letters or digits")
    return prefix
