"""An instrument as the scorer knows it: items and how they are answered, scores and their rules, bands and alerts.

The JSON form is documented in docs/instruments.md and checked by `scoring.schema.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any, Final, Literal, Protocol

Evidence = Literal["source-checked", "secondary", "memory"]
"""How a rule is known: the manual was opened, a copy or another program was, or nothing was."""

Direction = Literal["higher-better", "higher-worse"]

Exact = int | Fraction
"""An exact number; whole ones are int, which is many times faster to add."""


class NotApplicable(Enum):
    """The answer that a question does not apply to the patient: not a number, and not a question passed over."""

    NOT_APPLICABLE = "not-applicable"


NOT_APPLICABLE: Final = NotApplicable.NOT_APPLICABLE

Reading = Exact | NotApplicable
"""What an answer says, as the published form codes it."""

AnswerKey = tuple[str, str, str]
"""What identifies an answer among the options: ("coding", system, code) or ("integer", "", digits)."""

ItemType = Literal["choice", "integer", "decimal", "quantity", ""]
"""How a question is answered; empty: it is no part of any score."""


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
    """A question of the Questionnaire: which answers it takes, and the value each has for the scores."""

    link_id: str
    type: ItemType = ""
    place: Place = TOP
    options: Mapping[AnswerKey, Reading] = field(default_factory=dict)
    """Of a choice: the reading of each answer."""
    codings: Mapping[tuple[str, str], Reading] | None = None
    """The same by system and code alone, of a choice among codings."""
    low: Exact | None = None
    high: Exact | None = None
    """Bounds of a number; None: open."""
    step: Exact | None = None
    """Numbers are multiples of it; None: any."""
    unit: str = ""
    """UCUM unit a quantity is read in."""
    recode: Mapping[Exact, Exact] | None = None
    reverse_from: Exact | None = None

    @property
    def changes_readings(self) -> bool:
        return self.recode is not None or self.reverse_from is not None

    def value(self, reading: Exact) -> Exact:
        """What the scores reckon with: the reading, recoded or reversed where the definition says so."""
        if self.recode is not None:
            return self.recode[reading]
        return reading if self.reverse_from is None else self.reverse_from - reading

    def readings(self) -> tuple[Exact, ...]:
        """All readings of a choice, the bounds of a number; empty when it has none."""
        if self.type == "choice":
            return tuple(reading for reading in self.options.values() if reading is not NOT_APPLICABLE)
        return () if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True, slots=True)
class Subject:
    """The patient at the time of the answers, as far as published tables ask."""

    sex: str | None = None
    """male or female."""
    age: tuple[int, int] | None = None
    """Least and greatest age in years that the birth date allows."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Why there is no value."""

    code: Literal["too-few-answers", "rule-not-verified", "subject-unknown", "not-in-table", "undefined"]
    text: str
    items: tuple[str, ...] = ()
    """linkIds without an answer."""


class Rule(Protocol):
    """How a score follows from item values (by linkId) and earlier scores (`score.<name>`)."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names that must have a value; the missing rule may impute items among them."""
        ...

    def value(self, values: Mapping[str, Exact], subject: Subject) -> Exact | str | Absence:
        """The value; text for strata and profiles. `values` has all `inputs`."""
        ...


Condition = Callable[[Mapping[str, Exact]], Exact]
"""Of a formula; true is 1."""


@dataclass(frozen=True, slots=True)
class MissingRule:
    """How many inputs may be missing; missing items get the mean of this person's answered ones."""

    at_most: int
    evidence: Evidence
    source: str


@dataclass(frozen=True, slots=True)
class Band:
    """Scores from `start` (above it, when `exclusive`) up to the next band."""

    start: Exact
    exclusive: bool
    code: str
    display: str

    def begins_below(self, value: Exact) -> bool:
        return self.start < value if self.exclusive else self.start <= value


@dataclass(frozen=True, slots=True)
class Bands:
    steps: tuple[Band, ...]
    evidence: Evidence
    source: str

    def of(self, value: Exact) -> Band:
        """The band of `value`, which lies in the range of the score."""
        return next(band for band in reversed(self.steps) if band.begins_below(value))


@dataclass(frozen=True, slots=True)
class Score:
    """One number, stratum or profile that the instrument gives."""

    name: str
    title: str
    codings: tuple[dict[str, str], ...]
    rule: Rule
    kind: str
    """Of the rule, as scoring.json names it."""
    inputs: tuple[str, ...]
    """The rule's."""
    items: tuple[str, ...]
    """linkIds among the inputs."""
    low: Exact | None
    high: Exact | None
    """Possible range; None where it is open, or there is no number."""
    decimals: int
    unit: str
    direction: Direction
    evidence: Evidence
    source: str
    missing: MissingRule | None
    """None: every input must be there."""
    bands: Bands | None
    strata: Mapping[str, str]
    """Displays by code, of a score that is a stratum."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An answer that somebody must look at, whatever the score."""

    name: str
    item: str
    above: Exact
    title: str
    advice: str


@dataclass(frozen=True, slots=True)
class Wording:
    """The published wording that an imported Questionnaire carries (instruments/wording.py)."""

    version: str
    """Of the Questionnaire."""
    title: str
    language: str


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
    """SHA-256 of the scoring definition, its tables and the Questionnaire, hex."""
    items: dict[str, Item]
    changed_items: tuple[str, ...]
    """Those whose readings are recoded or reversed."""
    offers_not_applicable: bool
    conditional: bool
    """Some items are asked under a condition only (enableWhen)."""
    scores: tuple[Score, ...]
    alerts: tuple[Alert, ...]
    wording: Wording | None = None
    """None: the labels that are shipped."""

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

    @property
    def asks_subject(self) -> bool:
        """Whether a score depends on the patient's age or sex."""
        return any(getattr(score.rule, "asks_subject", False) for score in self.scores)


def numbers_of(name: str) -> str:
    """The name under which formulas and weights know an earlier score."""
    return f"score.{name}"
