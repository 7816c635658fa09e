"""An instrument as the scorer knows it: items with coded levels, scores, bands and alerts.

The JSON form is documented in docs/instruments.md and checked by `scoring.schema.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

Evidence = Literal["source-checked", "secondary", "memory"]
"""How a rule is known: the manual was opened, a copy or another program was, or nothing was."""

Exact = int | Fraction
"""An exact number; whole ones are int, which is many times faster to add."""

AnswerKey = tuple[str, str, str]
"""What identifies an answer among the options: ("coding", system, code) or ("integer", "", digits)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in a response: below a group in its `item`, below a question in its answer's `item`."""

    parent: str = ""
    """linkId; empty at the top."""
    in_answer: bool = False

    def __str__(self) -> str:
        if not self.parent:
            return "at the top"
        return f"in {'the answer of ' if self.in_answer else ''}{self.parent}"


TOP = Place()


@dataclass(frozen=True, slots=True)
class Item:
    """A question of the Questionnaire with the item score of each answer it allows."""

    link_id: str
    options: dict[AnswerKey, Exact]
    """Empty for a question that is no part of any score."""
    place: Place = TOP

    @property
    def takes_coding(self) -> bool:
        return next(iter(self.options))[0] == "coding"

    @property
    def lowest(self) -> Exact:
        return min(self.options.values())

    @property
    def highest(self) -> Exact:
        return max(self.options.values())


@dataclass(frozen=True, slots=True)
class MissingRule:
    """How many answers may be missing; the missing ones get the mean of this person's answered ones."""

    at_most: int
    evidence: Evidence
    source: str


@dataclass(frozen=True, slots=True)
class Band:
    """Scores from `start` up to the next band's start."""

    start: Exact
    code: str
    display: str


@dataclass(frozen=True, slots=True)
class Bands:
    steps: tuple[Band, ...]
    evidence: Evidence
    source: str

    def of(self, value: Exact) -> Band:
        """The band of `value`, which lies in the range of the score."""
        return next(band for band in reversed(self.steps) if band.start <= value)


@dataclass(frozen=True, slots=True)
class Score:
    """aggregate(items) * multiply + add."""

    name: str
    title: str
    codings: tuple[dict[str, str], ...]
    items: tuple[str, ...]
    aggregate: Literal["sum", "mean"]
    multiply: Exact
    add: Exact
    low: Exact
    high: Exact
    decimals: int
    unit: str
    evidence: Evidence
    missing: MissingRule | None
    """None: every item must be answered."""
    bands: Bands | None

    def value(self, item_scores: list[Exact]) -> Exact:
        total: Exact = sum(item_scores)
        if self.aggregate == "mean":
            total = Fraction(total) / len(item_scores)
        return total * self.multiply + self.add


@dataclass(frozen=True, slots=True)
class Alert:
    """An answer that somebody must look at, whatever the score."""

    name: str
    item: str
    above: Exact
    title: str
    advice: str


@dataclass(frozen=True, slots=True)
class Instrument:
    """One version of an instrument: the Questionnaire it is answered on and the rules that score it."""

    id: str
    metadata: dict[str, Any]
    questionnaire: dict[str, Any]
    url: str
    """Canonical of the Questionnaire, without the version."""
    version: str
    """Business version of the Questionnaire."""
    algorithm: str
    algorithm_version: str
    checksum: str
    """SHA-256 of the scoring definition and the Questionnaire, hex."""
    items: dict[str, Item]
    scores: tuple[Score, ...]
    alerts: tuple[Alert, ...]

    @property
    def canonical(self) -> str:
        return f"{self.url}|{self.version}"

    @property
    def canonical_base(self) -> str:
        return self.url.partition("/Questionnaire/")[0]

    @property
    def experimental(self) -> bool:
        """Answered on our own labels instead of the published wording."""
        return bool(self.questionnaire.get("experimental", False))
