"""KOOS and HOOS with their short forms (PS, JR), and the WOMAC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from tools.golden.vectors import Answers, Expected, Golden, Number, Vector, but, every, numbered, typed_row, vector

KOOS = {
    "symptoms": (numbered("S", 7), 4),
    "pain": (numbered("P", 9), 5),
    "adl": (numbered("A", 17), 9),
    "sport_rec": (numbered("SP", 5), 3),
    "qol": (numbered("Q", 4), 2),
}
"""Items and the fewest that must be answered (half, rounded up)."""
HOOS = {
    "symptoms": (numbered("S", 5), 3),
    "pain": (numbered("P", 10), 5),
    "adl": (numbered("A", 17), 9),
    "sport_rec": (numbered("SP", 4), 2),
    "qol": (numbered("Q", 4), 2),
}
WOMAC = {
    "pain": (numbered("pain", 5), 1),
    "stiffness": (numbered("stiff", 2), 1),
    "function": (numbered("func", 17), 3),
}
"""Items and the most that may be missing; the rule of the function scale was read, the others are from memory."""

KOOS_PS = typed_row("""
    100 94.4 89.5 85.2 81.4 78 75.1 72.5 70.3 68.2 66.4 64.7 63 61.4 59.7 58 56 53.9 51.5 48.8 45.6 42.1 38
    33.4 28.2 22.3 15.7 8.2 0
""")
HOOS_PS = typed_row("""
    100 95.4 91.2 87.3 83.6 80 76.6 73.1 69.6 66.1 62.3 58.3 53.9 49.2 44.1 38.4 32.1 25.2 17.6 9.2 0
""")
KOOS_JR = typed_row("""
    100 91.975 84.6 79.914 76.332 73.342 70.704 68.284 65.994 63.776 61.583 59.381 57.14 54.84 52.465 50.012
    47.487 44.905 42.281 39.625 36.931 34.174 31.307 28.251 24.875 20.941 15.939 8.291 0
""")
HOOS_JR = typed_row("""
    100 92.34 85.257 80.55 76.776 73.472 70.426 67.516 64.664 61.815 58.93 55.985 52.965 49.858 46.652 43.335
    39.902 36.363 32.735 29.009 25.103 20.805 15.633 8.104 0
""")


def _subscale(values: list[int]) -> Fraction:
    return 100 - Fraction(sum(values), len(values)) * 25


def _only(scores: Mapping[str, object], name: str, value: Number | None) -> Expected:
    """`value` for one subscale; its items alone were answered, so the others are absent."""
    return {score: value if score == name else None for score in scores}


def _outcome_score(subscales: Mapping[str, tuple[list[str], int]]) -> Iterator[Vector]:
    items = [item for of_scale, _ in subscales.values() for item in of_scale]
    for level in range(5):
        answers = every(items, level)
        yield vector(f"all {level}", answers, dict.fromkeys(subscales, 100 - 25 * level), status="final")
    mixed = {item: (3 * place + 1) % 5 for place, item in enumerate(items)}
    expected = {name: _subscale([mixed[item] for item in of_scale]) for name, (of_scale, _) in subscales.items()}
    yield vector("mixed", mixed, expected, status="final")
    for name, (of_scale, least) in subscales.items():
        size = len(of_scale)
        for item in of_scale:
            answers = but(every(of_scale, 1), {item: 2})
            yield vector(
                f"only {item} moved, 1 to 2", answers, _only(subscales, name, _subscale([2] + [1] * (size - 1)))
            )
        answers = {**every(of_scale[:1], 3), **every(of_scale[1:least], 1)}
        yield vector(
            f"{name}: {least} of {size} answered are enough, their mean counts",
            answers,
            _only(subscales, name, _subscale([3] + [1] * (least - 1))),
            status="final",
        )
        others = every((item for item in items if item not in of_scale), 0)
        yield vector(
            f"{name}: {least - 1} of {size} answered are too few",
            {**others, **every(of_scale[: least - 1], 1)},
            {score: None if score == name else 100 for score in subscales},
        )
    last = items[-1]
    yield vector("no level 5", but(mixed, {last: 5}), refused=[last])
    yield vector("nothing answered", {}, refused=items)


def _of_sum(items: list[str], total: int) -> dict[str, int]:
    """Answers 0-4 that add up to `total`, spread over the items as evenly as can be."""
    return {item: total // len(items) + (place < total % len(items)) for place, item in enumerate(items)}


def _short_form(count: int, table: list[str], *, is_ps: bool) -> Iterator[Vector]:
    """Every row, each item moved alone, no item missing."""
    items = numbered("q", count)

    def expected(raw: int) -> Expected:
        if is_ps:
            return {"score_100_is_best": table[raw], "score_100_is_worst": 100 - Fraction(table[raw])}
        return {"raw": raw, "interval": table[raw]}

    def source(raw: int) -> str:
        return f"table row raw {raw}"

    for raw in range(len(table)):
        yield vector(f"raw {raw}", _of_sum(items, raw), expected(raw), status="final", source=source(raw))
    for item in items:
        answers = but(every(items, 1), {item: 2})
        yield vector(f"only {item} moved, 1 to 2", answers, expected(count + 1), source=source(count + 1))
        answers = but(every(items, 0), {item: 4})
        yield vector(f"only {item} at its worst", answers, expected(4), source=source(4))
        yield vector(f"{item} missing: no table row", but(every(items, 1), {item: None}), refused=[item])
    yield vector("no level 5", but(every(items, 0), {"q1": 5}), refused=["q1"])


HOOS_PS_EXAMPLE = vector(
    "2 + 1 + 1 + 3 + 4 = 11",
    dict(zip(numbered("q", 5), [2, 1, 1, 3, 4], strict=True)),
    {"score_100_is_best": "58.3", "score_100_is_worst": "41.7"},
    source="awell-score, random response",
)


def _womac() -> Iterator[Vector]:
    items = [item for of_scale, _ in WOMAC.values() for item in of_scale]
    names = [*WOMAC, "total"]
    for level in range(5):
        expected = {"pain": 5 * level, "stiffness": 2 * level, "function": 17 * level, "total": 24 * level}
        yield vector(f"all {level}", every(items, level), expected, status="final")
    mixed = {item: (3 * place + 1) % 5 for place, item in enumerate(items)}
    sums = {name: sum(mixed[item] for item in of_scale) for name, (of_scale, _) in WOMAC.items()}
    yield vector("mixed", mixed, {**sums, "total": sum(mixed.values())}, status="final")
    for name, (of_scale, most) in WOMAC.items():
        size = len(of_scale)
        for item in of_scale:
            sums = {"pain": 5, "stiffness": 2, "function": 17}
            sums[name] += 1
            yield vector(f"only {item} moved, 1 to 2", but(every(items, 1), {item: 2}), {**sums, "total": 25})
        yield from _womac_missing(name, of_scale, most, items, names)
        yield vector(
            f"{name} alone answered: no total",
            every(of_scale, 3),
            {score: 3 * size if score == name else None for score in names},
            status="final",
        )
    yield vector("no level 5", but(mixed, {"func17": 5}), refused=["func17"])


def _womac_missing(name: str, of_scale: list[str], most: int, items: list[str], names: list[str]) -> Iterator[Vector]:
    size, read = len(of_scale), name == "function"
    others: dict[str, Number] = {score: 2 * len(scale) for score, (scale, _) in WOMAC.items() if score != name}
    # the first answered item is a 4, the others 2, so that the mean is no whole level
    base: Answers = but(every(items, 2), {of_scale[0]: 4})
    enough = but(base, dict.fromkeys(of_scale[size - most :]))
    answered = [4] + [2] * (size - most - 1)
    value = Fraction(sum(answered) * size, size - most)
    yield vector(
        f"{name}: {most} missing, the mean of the others counts",
        enough,
        {**others, name: value, "total": value + sum(Fraction(other) for other in others.values())},
        status={**dict.fromkeys(others, "final"), **dict.fromkeys((name, "total"), "final" if read else "preliminary")},
        allow_unverified=not read,
    )
    absent: Expected = {**others, name: None, "total": None}
    if not read:
        yield vector(f"{name}: {most} missing, rule known from memory only", enough, absent, status="final")
    yield vector(
        f"{name}: {most + 1} missing are too many",
        but(base, dict.fromkeys(of_scale[size - most - 1 :])),
        absent,
        allow_unverified=True,
    )


def _tabulated(instrument: str, source: str, count: int, table: list[str], *more: Vector, is_ps: bool) -> Golden:
    computed = "The table was typed in apart from the definition; raw sums of items 0 to 4 (4 worst) by hand."
    return Golden(instrument, source, computed, [*_short_form(count, table, is_ps=is_ps), *more])


_SUBSCALES = (
    "100 - mean of the answered items (0 to 4, 0 best) x 25, if at least half of a subscale's items are answered"
)
_PS = "raw sum to 0-100, printed here with 100 best as in awell-score; Perruccio/Davis 2008 print 100 - x"
GOLDEN = (
    Golden(
        "koos",
        f"{_SUBSCALES} (fewest 5 pain, 4 symptoms, 9 ADL, 3 sport, 2 QOL: awell-score c37843e; rule of HOOS 2013).",
        "Mean and transform in exact fractions, rounded half up to 6 places.",
        list(_outcome_score(KOOS)),
    ),
    Golden(
        "hoos",
        f"{_SUBSCALES} (HOOS scoring 2013: fewest 5 pain, 3 symptoms, 9 ADL, 2 sport, 2 QOL).",
        "Mean and transform in exact fractions, rounded half up to 6 places.",
        list(_outcome_score(HOOS)),
    ),
    _tabulated("koos-ps", f"KOOS-PS table, {_PS}.", 7, KOOS_PS, is_ps=True),
    _tabulated("hoos-ps", f"HOOS-PS table, {_PS}.", 5, HOOS_PS, HOOS_PS_EXAMPLE, is_ps=True),
    _tabulated(
        "koos-jr", "KOOS, JR. interval table as in Stanford's registry code (Lyman 2016).", 7, KOOS_JR, is_ps=False
    ),
    _tabulated(
        "hoos-jr", "HOOS, JR. interval table as in Stanford's registry code (Lyman 2016).", 6, HOOS_JR, is_ps=False
    ),
    Golden(
        "womac",
        "LK3.1: sums of items 0 to 4 (awell-score c37843e), 0-20, 0-8, 0-68 and 0-96. Missing items take the mean "
        "of the subscale: at most 3 function items (Whitehouse 2004 abstract); 1 pain and 1 stiffness item from "
        "memory, so only with allow_unverified.",
        "Added up in exact fractions, rounded half up to 6 places.",
        list(_womac()),
    ),
)
