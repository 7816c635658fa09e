"""Strings as R4 search.html#string compares them: without case, accents and punctuation (reading search-5)."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

PLAIN = {"ł": "l", "đ": "d", "ø": "o", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ı": "i"}
"""Letters with a stroke and ligatures, taken as plain ones."""
_SPACES = re.compile(r"[\s\-/_\u2010-\u2015]+")
_HUMAN_NAME = ("text", "family", "given", "prefix", "suffix")
_ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country")


def folded(text: str) -> str:
    """Dashes, slashes and white space become one space; case, accents and punctuation go."""
    spaced = _SPACES.sub(" ", text)
    kept = []
    for character in unicodedata.normalize("NFKD", spaced.casefold()):
        if unicodedata.combining(character) or not _counts(character):
            continue
        kept.append(PLAIN.get(character, character))
    return _SPACES.sub(" ", "".join(kept)).strip().casefold()


def _counts(character: str) -> bool:
    kind = unicodedata.category(character)[0]
    return kind != "P" and not (kind == "S" and character.isascii())


def strings(type_name: str, data: Any) -> list[str]:
    """The strings that a string parameter compares of an element."""
    if type_name == "HumanName":
        return _strings_of(data, _HUMAN_NAME)
    if type_name == "Address":
        return _strings_of(data, _ADDRESS)
    return [data] if isinstance(data, str) else []


def _strings_of(data: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    found = []
    for key in keys:
        value = data.get(key)
        found += [each for each in (value if isinstance(value, list) else [value]) if each]
    return found


def family_parts(family: str) -> list[str]:
    """The later parts of a family name, which are found on their own (R4 search.html#string)."""
    return [part for part in _SPACES.split(family)[1:] if part]
