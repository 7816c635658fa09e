"""What many instruments' vectors have in common: every level of every item, figures published elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from tools.golden.vectors import Expected, Number, Vector, vector

Score = Callable[[dict[str, Any]], Expected]


def each_level(
    items: Sequence[str], levels: Sequence[int], score: Score, others: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Vector]:
    """As many vectors as levels; item n starts at level n and all go one level on from vector to vector.

    Each item meets each level once, so one wrong weight, reversal or level of one item changes a vector.
    """
    for start in range(len(levels)):
        answers = {item: levels[(start + place) % len(levels)] for place, item in enumerate(items)} | dict(others)
        yield vector(f"levels in turn, from {levels[start]}", answers, score(answers))


def out_of_range(answers: dict[str, Any], item: str, *wrong: Any) -> Iterator[Vector]:
    """`answers` with answers to `item` that the instrument does not have."""
    for answer in wrong:
        yield vector(f"{item} has no answer {answer}", {**answers, item: answer}, refused=[item])


def without(answers: dict[str, Any], *items: str) -> dict[str, Any]:
    """`answers` with no answer to `items`."""
    return {item: answer for item, answer in answers.items() if item not in items}


def adding_up(items: Sequence[str], total: int, highest: int) -> dict[str, int]:
    """Answers from 0 to `highest` that add up to `total`, the first items highest."""
    return {item: min(highest, max(0, total - highest * place)) for place, item in enumerate(items)}


def mixed(items: Iterable[str], answers: Iterable[Any]) -> dict[str, Any]:
    """One answer for each item."""
    return dict(zip(items, answers, strict=True))


def published(value: Number | str | None, figure: str) -> None:
    """Fail unless `value` is what another program or paper gives, at the places it gives."""
    exact = Fraction(value or 0)
    if (Decimal(exact.numerator) / exact.denominator).quantize(Decimal(figure), ROUND_HALF_UP) != Decimal(figure):
        raise ValueError(f"{value} is published as {figure}")
