"""Hashed features for full text: trigrams of strings (`:contains`) and words of texts (`_text`, `_content`).

A feature says that something occurs in a resource of a type, nothing about where: `:contains` looks at the rows again.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html import unescape

from fhir_server.model.identity import LONGEST_CACHED, hash64

_TAG_OR_WORD = re.compile(r"<[^>]*>|([^\W_]+)")
_TAG = re.compile(r"<[^>]*>")
_ACCENTS = re.compile("[\u0300-\u036f]+")
MOST_WORDS = 2000
"""Most different words indexed of one text."""
LEAST_BYTES = 3
"""Shorter words find little and are a sixth of all: they are neither indexed nor looked for."""


@lru_cache(maxsize=8192)
def trigrams(p: int, folded: str) -> tuple[int, ...]:
    """The features of each three bytes (UTF-8) in a row of `folded`, a string value of the parameter `p`."""
    text = folded.encode()
    own = p << 24
    return tuple({_mixed(own | a << 16 | b << 8 | c) for a, b, c in zip(text, text[1:], text[2:], strict=False)})


def _mixed(value: int) -> int:
    """`value` spread over signed 32 bits (Knuth's multiplicative hash): collisions cost a look at the body."""
    return (value * 0x9E3779B1 >> 8 & 0xFFFFFFFF) - 0x80000000


def words(xhtml: str) -> list[str]:
    """The different words of XHTML (or of plain text) that are indexed, in no order, without case and accents."""
    if "&" in xhtml:
        xhtml = unescape(_TAG.sub(" ", xhtml)).replace("<", " ")
    if not xhtml.isascii():
        xhtml = _ACCENTS.sub("", unicodedata.normalize("NFKD", xhtml))
    found = set(_TAG_OR_WORD.findall(xhtml.casefold()))
    found = {word for word in found if len(word) >= LEAST_BYTES or len(word.encode()) >= LEAST_BYTES}
    return sorted(found)[:MOST_WORDS] if len(found) > MOST_WORDS else list(found)


def word(p: int, folded: str) -> int:
    """The feature of one word in the text parameter `p`."""
    return _word(p, folded) if len(folded) <= LONGEST_CACHED else _word.__wrapped__(p, folded)


@lru_cache(maxsize=16384)
def _word(p: int, folded: str) -> int:
    return hash64(f"{p}:{folded}".encode()) >> 32
