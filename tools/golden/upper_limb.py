"""DASH, QuickDASH, Boston Carpal Tunnel, PRWE and SPADI."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from tools.golden.vectors import Golden, Number, Vector, but, each_moved, every, numbered, vector


def _disability(answered: list[int]) -> Fraction:
    return (Fraction(sum(answered), len(answered)) - 1) * 25


def _dash(count: int, least: int) -> Iterator[Vector]:
    """(sum/n - 1) x 25 of items 1 to 5."""
    items = numbered("q", count)
    for level in range(1, 6):
        yield vector(f"all {level}", every(items, level), {"score": 25 * (level - 1)}, status="final")
    mixed = {item: 1 + (2 * place) % 5 for place, item in enumerate(items)}
    yield vector("mixed", mixed, {"score": _disability(list(mixed.values()))}, status="final")
    yield from each_moved(every(items, 2), 1, lambda _: {"score": _disability([3] + [2] * (count - 1))})
    answered = [5] + [2] * (least - 1)
    fewest = dict(zip(items, answered, strict=False))
    yield vector(
        f"{least} answered are enough: ({sum(answered)}/{least} - 1) x 25",
        fewest,
        {"score": _disability(answered)},
        status="final",
    )
    yield vector(
        f"{least} answered, the first left out",
        dict(zip(items[count - least :], answered, strict=True)),
        {"score": _disability(answered)},
        status="final",
    )
    too_few = but(fewest, {items[0]: None})
    yield vector(f"{least - 1} answered are too few", too_few, refused=[items[0], *items[least:]])
    yield vector("no level 0", but(mixed, {"q1": 0}), refused=["q1"])
    yield vector("no level 6", but(mixed, {items[-1]: 6}), refused=[items[-1]])


CARPAL = {"sss": numbered("sss", 11), "fss": numbered("fss", 8)}


def _carpal() -> Iterator[Vector]:
    items = CARPAL["sss"] + CARPAL["fss"]
    for level in range(1, 6):
        yield vector(f"all {level}", every(items, level), {"sss": level, "fss": level}, status="final")
    mixed = but(every(items, 1), {"sss1": 5, "sss11": 3, "fss1": 4, "fss8": 2})
    yield vector("mixed: 17/11 and 12/8", mixed, {"sss": Fraction(17, 11), "fss": "1.5"}, status="final")
    for name, of_scale in CARPAL.items():
        size, other = len(of_scale), "fss" if name == "sss" else "sss"
        for item in of_scale:
            expected: dict[str, Number] = {name: Fraction(2 * size + 1, size), other: 2}
            yield vector(f"only {item} moved, 2 to 3", but(every(items, 2), {item: 3}), expected)
        for unverified in (False, True):
            yield vector(
                f"no rule for missing items: {name} without its last",
                but(every(items, 3), {of_scale[-1]: None}),
                {name: None, other: 3},
                status="final",
                allow_unverified=unverified,
            )
    yield vector("no level 0", but(mixed, {"sss1": 0}), refused=["sss1"])
    yield vector("no level 6", but(mixed, {"fss8": 6}), refused=["fss8"])


WRIST = {"pain": numbered("pain", 5), "function": numbered("func", 10)}


def _wrist() -> Iterator[Vector]:
    items = WRIST["pain"] + WRIST["function"]
    for level in range(11):
        expected = {"pain": 5 * level, "function": 5 * level, "total": 10 * level}
        yield vector(f"all {level}", every(items, level), expected, status="final")
    mixed = but(every(items, 0), {"pain1": 10, "pain5": 3, "func1": 10, "func6": 4, "func7": 2, "func10": 1})
    yield vector("mixed: 13 + 17/2", mixed, {"pain": 13, "function": "8.5", "total": "21.5"}, status="final")
    for item in WRIST["pain"]:
        expected = {"pain": 16, "function": 15, "total": 31}
        yield vector(f"only {item} moved, 3 to 4", but(every(items, 3), {item: 4}), expected)
    for item in WRIST["function"]:
        yield vector(
            f"only {item} moved, 3 to 4: half a point",
            but(every(items, 3), {item: 4}),
            {"pain": 15, "function": "15.5", "total": "30.5"},
        )
    for missing, left in (("pain3", "function"), ("func9", "pain")):
        yield vector(
            f"{missing} missing, no rule usable: {left} only",
            but(every(items, 4), {missing: None}),
            {"pain": None, "function": None, "total": None, left: 20},
            status="final",
        )
    yield vector("no rating 11", but(mixed, {"pain1": 11}), refused=["pain1"])
    yield vector("no rating below 0", but(mixed, {"func10": -1}), refused=["func10"])


def _shoulder() -> Iterator[Vector]:
    """Items 1-5 pain, 6-13 disability; means x 10, and the mean of the two."""
    items = numbered("q", 13)
    for level in range(11):
        expected = dict.fromkeys(["pain", "disability", "total"], 10 * level)
        yield vector(f"all {level}", every(items, level), expected, status="final")
    yield vector(
        "worst pain, no disability: the total is the mean of the two, not 50/130",
        {**every(items[:5], 10), **every(items[5:], 0)},
        {"pain": 100, "disability": 0, "total": 50},
        status="final",
    )
    yield vector(
        "mixed: 17/50 and 33/80",
        dict(zip(items, [1, 2, 3, 4, 7, 8, 0, 9, 1, 5, 2, 6, 2], strict=True)),
        {"pain": 34, "disability": "41.25", "total": "37.625"},
        status="final",
    )
    for place, item in enumerate(items):
        moved: dict[str, Number | str | None] = (
            {"pain": 52, "disability": 50, "total": 51}
            if place < 5
            else {"pain": 50, "disability": "51.25", "total": "50.625"}
        )
        yield vector(f"only {item} moved, 5 to 6", but(every(items, 5), {item: 6}), moved)
    for missing, left in (("q5", "disability"), ("q6", "pain")):
        yield vector(
            f"{missing} missing, no rule known: {left} only",
            but(every(items, 5), {missing: None}),
            {"pain": None, "disability": None, "total": None, left: 50},
            status="final",
        )
    yield vector("no rating 11", but(every(items, 5), {"q13": 11}), refused=["q13"])


_FRACTIONS = "In exact fractions from that rule, rounded half up to 6 places."
GOLDEN = (
    Golden(
        "dash",
        "(sum/n - 1) x 25 of the n answered items 1 to 5, n at least 27 of 30 (Gummesson 2006).",
        _FRACTIONS,
        list(_dash(30, 27)),
    ),
    Golden(
        "quickdash",
        "(sum/n - 1) x 25 of the n answered items 1 to 5, n at least 10 of 11 (Gummesson 2006).",
        _FRACTIONS,
        list(_dash(11, 10)),
    ),
    Golden(
        "bctq",
        "Symptom severity: mean of 11 items, functional status: mean of 8, each 1 to 5, 5 worst (issuhub PROM table, "
        "physiotutors BCTQ). No rule for missing items is known.",
        _FRACTIONS,
        list(_carpal()),
    ),
    Golden(
        "prwe",
        "Pain: sum of 5 items 0 to 10; function: half the sum of 10 items; total: both added, 100 worst "
        "(physio-pedia PRWE).",
        _FRACTIONS,
        list(_wrist()),
    ),
    Golden(
        "spadi",
        "Pain: mean of 5 items 0 to 10 x 10; disability: mean of 8 x 10; total: mean of the two (awell-score c37843e).",
        _FRACTIONS,
        list(_shoulder()),
    ),
)
