"""Narrative: well-formed XHTML of R4's subset, without active content (R4 narrative.html, txt-1 and txt-2)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"

ELEMENTS = frozenset(
    """a abbr acronym address b bdo big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5
    h6 hr i img kbd li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul
    var""".split()  # noqa: SIM905
)
"""Chapters 7 to 11 (without 9.4) and 15 of HTML 4.0, without what it deprecates, and images."""
ATTRIBUTES = frozenset(
    """abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset
    cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name nowrap rel rev
    rowspan rules scope shape span src start style summary tabindex title type valign value vspace
    width""".split()  # noqa: SIM905
)
_LINKS = frozenset(("href", "src", "cite", "longdesc"))
_SCHEMES = ("javascript:", "vbscript:", "data:text", "data:application", "data:image/svg")
_MARKUP_DECLARATION = re.compile(r"<[!?](?!--)")
_ABRUPT_COMMENT = re.compile(r"<!---?>")
"""HTML ends the comment here, where XML begins it: what follows would be hidden from this check alone."""


class _Refused(Exception):
    """Says what is wrong with the narrative."""


LONGEST_CACHED = 16_384
"""Characters of a narrative whose judgement is kept."""


def problem_of(div: str) -> str | None:
    """What is wrong with a Narrative.div, or None."""
    return _problem_of(div) if len(div) <= LONGEST_CACHED else _problem_of.__wrapped__(div)


@lru_cache(maxsize=256)
def _problem_of(div: str) -> str | None:
    if _MARKUP_DECLARATION.search(div):
        return "it has a DOCTYPE, CDATA or processing instruction, which R4 does not allow"
    text = div.strip()
    if _ABRUPT_COMMENT.search(text) or text.startswith("<!--") or text.endswith("-->"):
        return "it has a comment that starts with > or stands outside the div"
    reader = _Reader()
    try:
        reader.read(div)
    except _Refused as refusal:
        return str(refusal)
    except expat.ExpatError as error:
        what = expat.errors.messages[error.code]
        hint = "; write the character itself" if what == expat.errors.XML_ERROR_UNDEFINED_ENTITY else ""
        return f"it is not well-formed: {what} at character {error.offset} of line {error.lineno}{hint}"
    return None if reader.content else "it is empty: it needs some text or an image"


class _Reader:
    def __init__(self) -> None:
        self.content = False
        self._root = True

    def read(self, text: str) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._element
        parser.CharacterDataHandler = self._text
        parser.Parse(text.encode(), True)

    def _element(self, name: str, attributes: dict[str, Any]) -> None:
        namespace, _, local = name.rpartition(" ")
        if namespace != XHTML:
            raise _Refused(f'the element {local} is not in the namespace: the root must be <div xmlns="{XHTML}">')
        if self._root and local != "div":
            raise _Refused("its root must be div")
        self._root = False
        if local not in ELEMENTS:
            raise _Refused(f"the element {local} is not allowed in a narrative")
        for attribute, value in attributes.items():
            self._attribute(local, attribute.rpartition(" "), value)
        self.content = self.content or (local == "img" and "src" in attributes)

    def _attribute(self, element: str, name: tuple[str, str, str], value: str) -> None:
        namespace, _, local = name
        if namespace == "http://www.w3.org/XML/1998/namespace":
            return
        if namespace or local not in ATTRIBUTES:
            raise _Refused(f"the attribute {local} of {element} is not allowed in a narrative")
        if local in _LINKS and "".join(value.split()).lower().startswith(_SCHEMES):
            raise _Refused(f"the {local} of {element} would run code")
        if local == "style" and re.search(r"expression\s*\(|javascript:|@import|behavior\s*:", value, re.IGNORECASE):
            raise _Refused(f"the style of {element} would run code")

    def _text(self, data: str) -> None:
        self.content = self.content or not data.isspace()
