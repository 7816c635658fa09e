"""Hashed features for full text: trigrams of strings (`:contains`) and words of the narrative (`_text`).

A feature says that something occurs in a resource of a type, nothing about where: matching looks the body up again.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape

from fhir_server.model.identity import hash64

_TAG_OR_WORD = re.compile(r"<[^>]*>|([^\W_]+)")
_TAG = re.compile(r"<[^>]*>")
MOST_WORDS = 2000
"""Most different words indexed of one narrative."""

_SPREAD_TRIGRAM = 0x9E37_79B9_7F4A_7C15
_SPREAD_PARAMETER = 0xC2B2_AE3D_27D4_EB4F
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_SIGN = 0x8000_0000_0000_0000


@lru_cache(maxsize=8192)
def trigrams(p: int, folded: str) -> tuple[int, ...]:
    """The features of each three characters in a row of `folded`, a string value of the parameter `p`."""
    spread = p * _SPREAD_PARAMETER
    codes = list(map(ord, folded))
    packed = {a << 42 | b << 21 | c for a, b, c in zip(codes, codes[1:], codes[2:], strict=False)}
    return tuple(((x * _SPREAD_TRIGRAM + spread & _MASK) ^ _SIGN) - _SIGN for x in packed)


def words(xhtml: str) -> list[str]:
    """The different words of XHTML (or of plain text), in no order, without case."""
    if "&" in xhtml:
        xhtml = unescape(_TAG.sub(" ", xhtml)).replace("<", " ")
    found = set(_TAG_OR_WORD.findall(xhtml.casefold()))
    found.discard("")
    return sorted(found)[:MOST_WORDS] if len(found) > MOST_WORDS else list(found)


@lru_cache(maxsize=16384)
def word(p: int, folded: str) -> int:
    """The feature of one word in the text parameter `p`."""
    return hash64(f"{p}:{folded}".encode())
