"""Vectors and the file that holds them: exact numbers as text, one vector per line."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

QUESTIONNAIRES = Path(__file__).parents[2] / "questionnaires"
PLACES = 6
"""Kept of a value that no decimal of that many places can hold."""

Number = int | Fraction | Decimal
Answers = Mapping[str, Any]
"""linkId -> raw number, "not-applicable" or {"value", "unit"}; an item left out has no answer."""
Expected = Mapping[str, Number | str | None]
"""score -> exact value, code of a stratum or text of a profile; None: there is no such score."""
Vector = dict[str, Any]


@dataclass(frozen=True)
class Golden:
    """The content of one golden.json."""

    instrument: str
    source: str
    """Which rule, and where it was seen."""
    computed: str
    """How the numbers were made."""
    vectors: list[Vector]

    def text(self) -> str:
        head = {"instrument": self.instrument, "source": self.source, "computed": self.computed}
        lines = [f"  {json.dumps(key)}: {_json(value)}," for key, value in head.items()]
        vectors = ",\n".join(f"    {_json(vector)}" for vector in self.vectors)
        return "\n".join(["{", *lines, '  "vectors": [', vectors, "  ]", "}", ""])

    def write(self) -> None:
        folder = QUESTIONNAIRES / self.instrument
        folder.mkdir(exist_ok=True)
        (folder / "golden.json").write_text(self.text())


def all_golden() -> Iterator[Golden]:
    """What every module of this package makes."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            yield from getattr(importlib.import_module(module.name), "GOLDEN", ())


def exact(value: Number) -> str:
    """`value` in full where PLACES decimals hold it, else rounded to them half up (away from zero)."""
    shifted = abs(Fraction(value)) * 10**PLACES
    whole = (2 * shifted.numerator + shifted.denominator) // (2 * shifted.denominator)
    text = f"{Decimal(whole).scaleb(-PLACES):f}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 and whole else text


def vector(
    name: str,
    answers: Answers,
    scores: Expected | None = None,
    *,
    bands: Mapping[str, str | None] | None = None,
    status: str | Mapping[str, str] | None = None,
    alerts: Mapping[str, Number] | None = None,
    refused: Iterable[str] | None = None,
    source: str | None = None,
    subject: Mapping[str, Any] | None = None,
    allow_unverified: bool = False,
) -> Vector:
    """One line of a golden.json.

    `status` given as text is that of every score that has a value. A band of None says that there is none.
    `refused` names the items; it is empty when the rules and not the answers are what keeps it from being scored.
    """
    expect: dict[str, Any] = {}
    if scores is not None:
        expect["scores"] = {score: _text(value) for score, value in scores.items()}
    if bands:
        expect["bands"] = dict(bands)
    if isinstance(status, str):
        expect["status"] = {score: status for score, value in (scores or {}).items() if value is not None}
    elif status:
        expect["status"] = dict(status)
    if alerts:
        expect["alerts"] = {alert: exact(value) for alert, value in alerts.items()}
    if refused is not None:
        expect["refused"] = list(refused)
    made: Vector = {"name": name}
    if source:
        made["source"] = source
    made["answers"] = dict(answers)
    if subject:
        made["subject"] = dict(subject)
    if allow_unverified:
        made["allow_unverified"] = True
    made["expect"] = expect
    return made


def numbered(prefix: str, count: int) -> list[str]:
    """linkIds: prefix1, prefix2, ..."""
    return [f"{prefix}{number}" for number in range(1, count + 1)]


def typed_row(text: str) -> list[str]:
    """The cells of a published table, typed in with spaces between them."""
    return text.split()


def every(items: Iterable[str], answer: Any) -> dict[str, Any]:
    """The same answer to each item."""
    return dict.fromkeys(items, answer)


def but(answers: Answers, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`answers` with `changes`; None takes the answer away."""
    return {item: answer for item, answer in {**answers, **changes}.items() if answer is not None}


def each_moved(
    base: Answers, step: int, expected: Callable[[dict[str, Any]], Expected], items: Iterable[str] = (), **how: Any
) -> Iterator[Vector]:
    """For each item (of `items`, else of `base`) the base with that item alone moved by `step`."""
    for item in items or base:
        answers = but(base, {item: base[item] + step})
        yield vector(f"only {item} moved, {base[item]} to {answers[item]}", answers, expected(answers), **how)


def _text(value: Number | str | None) -> str | None:
    return value if value is None or isinstance(value, str) else exact(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
