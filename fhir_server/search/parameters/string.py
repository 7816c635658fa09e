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
from fhir_server.search.modifiers import ENDS_WITH, IS
from fhir_server.search.parameters import presence
from fhir_server.storage.query import And, Predicate, TextContains, TextIn, TextPrefix
from fhir_server.storage.rows import TEXT_LIMIT, VARIANT_PIECE, IndexRows, cut

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


STEP = TEXT_LIMIT // 2
"""Pieces of a long text begin this far apart, so that every part of up to STEP characters is whole in one of them."""
MOST_PIECES = 200
"""Most pieces of one text: what comes behind them is not found by `:contains`."""


@lru_cache(maxsize=16384)
def _row(text: str) -> tuple[str, int]:
    return fold(text), hash64(text.encode())


def index(rows: IndexRows, p: int, text: str) -> None:
    """A text without letters and digits is found by `:exact` alone."""
    folded, exact = _row(text) if len(text) <= LONGEST_CACHED else _row.__wrapped__(text)
    rows.texts.append((p, cut(folded), exact))
    if len(folded) <= TEXT_LIMIT:
        rows.features += trigrams(p, folded)
        return
    for start in range(0, min(len(folded), MOST_PIECES * STEP), STEP):
        piece = folded[start : start + TEXT_LIMIT]
        rows.texts.append((p + VARIANT_PIECE, piece, 0))
        rows.features += trigrams(p, piece)


def _index_part(rows: IndexRows, p: int, part: str) -> None:
    """A part of a value: what is found by its start, but not a value of its own for `:exact`."""
    value = cut(fold(part))
    if value:
        rows.texts.append((p, value, 0))


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
            _index_part(rows, p, part)


def index_address(rows: IndexRows, p: int, address: dict[str, Any]) -> None:
    _index_parts(rows, p, address, _ADDRESS_PARTS)


def _index_parts(rows: IndexRows, p: int, value: dict[str, Any], parts: tuple[str, ...]) -> None:
    before = len(rows.texts)
    for part in parts:
        found = value.get(part)
        if isinstance(found, str):
            index(rows, p, found)
        else:
            for text in found or ():
                if text:
                    index(rows, p, text)
    if len(rows.texts) == before:
        presence.note(rows, p, value)


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Resources with a string that starts with one of `values`, has it in it (contains), or is the same (exact)."""
    del matching
    one = _MATCH[modifier]
    return any_of([one(source.p, definition.code, value) for value in values for source in definition.sources])


LONGEST_START = 1000
"""Longest start that a value is asked for."""


def _starts_with(p: int, code: str, value: str) -> Predicate:
    """By the start that is indexed, and what is behind it by parts that overlap each other."""
    start = _folded_start(code, value, LONGEST_START)
    indexed = TextPrefix(p, start[:TEXT_LIMIT])
    if len(start) <= TEXT_LIMIT:
        return indexed
    last = len(start) - STEP
    parts = [start[at : at + STEP] for at in (*range(TEXT_LIMIT - STEP // 2, last, STEP // 2), last)]
    return And((indexed, *[TextContains(p, part, trigrams(p, part)) for part in parts]))


def _contains(p: int, code: str, value: str, *, at_end: bool = False) -> Predicate:
    folded = fold(unescape(value))
    if not folded or len(folded) > STEP:
        name = code if at_end else f"{code}:contains"
        raise unusable(name, value, f"a string of 1 to {STEP} letters and digits")
    return TextContains(p, folded, trigrams(p, folded), at_end)


def _ends_with(p: int, code: str, value: str) -> Predicate:
    return _contains(p, code, value, at_end=True)


def _is_exactly(p: int, code: str, value: str) -> Predicate:
    del code
    text = unescape(value)
    return TextIn(p, (cut(fold(text)),), hash64(text.encode()))


def _is(p: int, code: str, value: str) -> Predicate:
    """The whole string, without case and accents (`_filter`'s eq)."""
    folded = fold(unescape(value))
    if not folded:
        raise unusable(code, value, "a string with letters or digits")
    return TextIn(p, (cut(folded),))


_MATCH = {"": _starts_with, "contains": _contains, "exact": _is_exactly, IS: _is, ENDS_WITH: _ends_with}


def search_prefix(code: str, value: str) -> str:
    """The start a folded string must have, where only the indexed start can be compared. Raises InvalidSearch."""
    return _folded_start(code, value, TEXT_LIMIT)


def _folded_start(code: str, value: str, longest: int) -> str:
    """Raises InvalidSearch when nothing is left of `value`, or more than `longest`."""
    start = fold(unescape(value))
    if not start:
        raise unusable(code, value, "a string with letters or digits")
    if len(start) > longest:
        raise unusable(code, value, f"a string of at most {longest} letters and digits")
    return start
