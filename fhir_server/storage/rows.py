"""What a store indexes of one resource version: plain rows, computed outside the writer.

`p` is the parameter's number (`spec` gives every (type, parameter) a fixed one) times 8 plus a
variant; `v` is always a signed 64-bit integer: a hash (`model.identity`), milliseconds since 1970,
or a double mapped so that integer order is numeric order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fhir_server.model.identity import hash64

EXTRACTION = 3
"""The version of extraction: raised with every change of what is indexed of a resource. Rows of an older one are made
anew by a job when a server of this version starts (search/reindex.py)."""

VARIANTS = 8
"""Row parameters of one parameter."""
VARIANT_VALUE = 0
"""The parameter itself."""
VARIANT_CANONICAL = 1
"""A quantity in UCUM base units."""
VARIANT_VERSION = 1
"""A canonical with a version, for :below: number rows, v = hash of its url and a start of its version."""
VARIANT_IDENTIFIER = 2
"""Reference.identifier, for the :identifier modifier (text rows)."""
VARIANT_TEXT = 3
"""Display and text beside a token, for :text: number rows of tokens of DISPLAY, whose code is the folded text."""
VARIANT_EXTERNAL = 4
"""A reference that is an absolute URL or a canonical, in text rows: v the url, w symbol(version)."""
VARIANT_OF_TYPE = 5
"""Identifier.type, for :of-type: number rows, v = hash of the type's system and code and the identifier's value."""
VARIANT_PRESENT = 6
"""An element that makes no other row (a Reference with a display only), for :missing: a number row, v = 0, w as a
value's would be (type of a reference, system of a contact) or 0."""
VARIANT_PIECE = 7
"""Overlapping pieces of a text longer than TEXT_LIMIT, for :contains (text rows, folded)."""
DISPLAY = "urn:fhir-server:display"
"""The system under which folded displays stand in the dictionary of tokens."""
TEXT_LIMIT = 200
"""Indexed texts longer than this are cut to it and completed by their hash (`cut`)."""


NO_DATE = -(2**47)
"""k of a resource without a primary date: before every date, so that newest-first puts it last."""


def cut(text: str) -> str:
    """`text` as it stands in a text row: equality survives the cut (by hash), prefixes up to TEXT_LIMIT do."""
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]}\x1f{hash64(text.encode()):x}"


def parameter(number: int, variant: int = VARIANT_VALUE) -> int:
    return number * VARIANTS + variant


@dataclass(slots=True)
class IndexRows:
    """The index of one version. Lists hold no duplicates."""

    k: int = NO_DATE
    """Lower bound of the type's primary date, ms since 1970 UTC; NO_DATE when there is none."""
    k_high: int = NO_DATE
    """Upper bound (inclusive) of the primary date."""
    numbers: list[tuple[int, int, int]] = field(default_factory=list)
    """(p, v, w): token hash, rid of a reference (w = number of its type, `codes.TYPE_NUMBERS`), date lo (w = hi),
    number, quantity (w = symbol of the unit)."""
    texts: list[tuple[int, str, int]] = field(default_factory=list)
    """(p, v, w): folded string, identifier value (w = symbol of its system), uri, canonical (w = its version's)."""
    composites: list[tuple[int, int, int, int, str]] = field(default_factory=list)
    """(p, a, b, c, t): the components of one instance; t holds a string component."""
    features: list[int] = field(default_factory=list)
    """Words (_text, _content) and trigrams (:contains) hashed to 32 bits, see search/features; rechecked."""
    tokens: list[tuple[int, str, str]] = field(default_factory=list)
    """(hash, system, code) of every token in `numbers` and `composites`: the dictionary for code-only search."""
    compartments: list[int] = field(default_factory=list)
    """rids of the Patients whose compartment the resource is in."""
    contained: list[Contained] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Length of the primary date, ms; 0 when there is none."""
        return self.k_high - self.k if self.k != NO_DATE else 0


@dataclass(slots=True)
class Contained:
    """A contained resource: its own type, id and body, and its rows (storage/contained.py)."""

    resource_type: str
    logical_id: str
    body: bytes
    rows: IndexRows
