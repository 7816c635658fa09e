"""Foot and Ankle Ability Measure and Forgotten Joint Score."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from tools.golden.vectors import Expected, Golden, Vector, but, each_moved, every, numbered, vector

FOOT = {"adl": (numbered("adl", 21), 19), "sport": (numbered("sp", 8), 7)}
"""Items and the fewest that must be answered (90 %)."""
NOT_APPLICABLE = "not-applicable"


def _ability(answered: list[int]) -> Fraction:
    return Fraction(100 * sum(answered), 4 * len(answered))


def _only(name: str, value: Fraction | None) -> Expected:
    """`value` for one subscale; its items alone were answered, so the other is absent."""
    return {score: value if score == name else None for score in FOOT}


def _faam() -> Iterator[Vector]:
    items = FOOT["adl"][0] + FOOT["sport"][0]
    for level in range(5):
        expected = dict.fromkeys(FOOT, 25 * level)
        yield vector(f"all {level}", every(items, level), expected, status="final")
    mixed = {item: (3 * place + 1) % 5 for place, item in enumerate(items)}
    values = {name: _ability([mixed[item] for item in of_scale]) for name, (of_scale, _) in FOOT.items()}
    yield vector("mixed", mixed, values, status="final")
    for name, (of_scale, least) in FOOT.items():
        size = len(of_scale)
        value = _ability([3] + [2] * (size - 1))
        for item in of_scale:
            yield vector(f"only {item} moved, 2 to 3", but(every(of_scale, 2), {item: 3}), _only(name, value))
        answered = [4] + [1] * (least - 1)
        fewest = dict(zip(of_scale, answered, strict=False))
        other = {item: 4 for item in items if item not in of_scale}
        yield vector(
            f"{name}: {least} of {size} answered are enough: {sum(answered)}/{4 * least}",
            {**fewest, **other},
            {**dict.fromkeys(FOOT, 100), name: _ability(answered)},
            status="final",
        )
        yield vector(
            f"{name}: not applicable counts as not answered",
            {**fewest, **every(of_scale[least:], NOT_APPLICABLE), **other},
            {**dict.fromkeys(FOOT, 100), name: _ability(answered)},
            status="final",
        )
        yield vector(
            f"{name}: {least - 1} of {size} are too few",
            {**fewest, **every(of_scale[least - 1 :], NOT_APPLICABLE), **other},
            {**dict.fromkeys(FOOT, 100), name: None},
            status="final",
        )
        yield vector(
            f"{name}: one missing and the rest not applicable are too few",
            but({**fewest, **every(of_scale[least:], NOT_APPLICABLE), **other}, {of_scale[0]: None}),
            {**dict.fromkeys(FOOT, 100), name: None},
            status="final",
        )
    yield vector("no level 5", but(mixed, {"sp8": 5}), refused=["sp8"])
    yield vector("no level below 0", but(mixed, {"adl1": -1}), refused=["adl1"])


def _forgotten(answered: list[int]) -> Fraction:
    return 100 - (Fraction(sum(answered), len(answered)) - 1) * 25


def _fjs() -> Iterator[Vector]:
    items = numbered("q", 12)
    for level in range(1, 6):
        yield vector(f"all {level}", every(items, level), {"score": 125 - 25 * level}, status="final")
    mixed = dict(zip(items, [1, 2, 3, 4, 5, 1, 1, 2, 2, 3, 5, 4], strict=True))
    yield vector("mixed: 100 - (33/12 - 1) x 25", mixed, {"score": "56.25"}, status="final")
    yield from each_moved(every(items, 2), 1, lambda _: {"score": _forgotten([3] + [2] * 11)})
    fewest = dict(zip(items, [5, 3, 2, 2, 2, 2, 1, 1], strict=False))
    yield vector(
        "four missing, eight answered sum 18: 100 - (18/8 - 1) x 25", fewest, {"score": "68.75"}, status="final"
    )
    one = but(mixed, {"q5": None})
    yield vector(
        "one missing: 100 - (28/11 - 1) x 25",
        one,
        {"score": 100 - (Fraction(28, 11) - 1) * 25},
        status="final",
    )
    yield vector("five missing are too many", but(fewest, {"q1": None}), refused=["q1", *items[8:]])
    yield vector("no level 0", but(mixed, {"q1": 0}), refused=["q1"])
    yield vector("no level 6", but(mixed, {"q12": 6}), refused=["q12"])


GOLDEN = (
    Golden(
        "faam",
        "sum/(4 x n) x 100 of the n applicable items answered 0 to 4, 4 best (physio-pedia FAAM); at least 19 of 21 "
        "ADL and 7 of 8 sport items (patient-watch.com FAAM).",
        "In exact fractions from that rule, rounded half up to 6 places.",
        list(_faam()),
    ),
    Golden(
        "fjs-12",
        "Codes 1 to 5; 100 - mean of (code - 1) x 25, 100 best (awell-score c37843e). At most 4 missing "
        "(read-me of awell-score).",
        "In exact fractions from that rule, rounded half up to 6 places.",
        list(_fjs()),
    ),
)
