"""Oxford Hip, Knee, Shoulder and Elbow Scores and the MOXFQ."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tools.golden.vectors import Golden, Number, Vector, but, each_moved, every, exact, numbered, vector

TWELVE = numbered("q", 12)
BAND_EDGES = [
    (0, "severe"),
    (19, "severe"),
    (20, "moderate"),
    (29, "moderate"),
    (30, "mild"),
    (39, "mild"),
    (40, "satisfactory"),
    (48, "satisfactory"),
]
"""Kalairajah 2005: 0-19, 20-29, 30-39, 40-48."""
HAND_MADE: list[tuple[str, list[int | None], str]] = [
    ("each level: 4+3+2+1+0+4+3+2+1+0+4+3 = 27", [4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4, 3], "27"),
    ("random response of awell-score's tests: 22", [0, 4, 2, 2, 3, 4, 1, 0, 2, 1, 0, 3], "22"),
    ("one point in item 1 only", [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "1"),
    ("one point in item 12 only", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "1"),
    ("one point lost in item 7", [4, 4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4], "47"),
]
IMPUTED: list[tuple[str, list[int | None], str, str]] = [
    (
        "two missing, ten answered 3: 30 + 2 x 3 = 36",
        [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, None, None],
        "36",
        "mild",
    ),
    (
        "two missing, ten answered sum 33: 33 x 12 / 10 = 39.6",
        [4, 4, 4, 3, 3, 3, 3, 3, 3, 3, None, None],
        "39.6",
        "mild",
    ),
    (
        "one missing, eleven answered sum 34: 34 x 12 / 11 = 37.0909...",
        [4, 4, 4, 3, 2, 1, None, 4, 4, 4, 4, 0],
        "37.090909",
        "mild",
    ),
    (
        "one missing, eleven answered sum 16: 16 x 12 / 11 = 17.4545...",
        [4, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0, None],
        "17.454545",
        "severe",
    ),
    (
        "two missing, ten answered sum 25: 25 x 12 / 10 = 30",
        [None, None, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2],
        "30",
        "mild",
    ),
]


def _twelve(answers: list[int | None]) -> dict[str, Any]:
    return but({}, dict(zip(TWELVE, answers, strict=True)))


def _of_sum(total: int) -> dict[str, Any]:
    """Twelve answers 0-4 that add up to `total`: as many fours as fit, then the rest."""
    return {item: max(0, min(4, total - 4 * place)) for place, item in enumerate(TWELVE)}


def _oxford() -> list[Vector]:
    made = [
        vector(f"all {level}: 12 x {level}", every(TWELVE, level), {"total": 12 * level}, status="final")
        for level in range(5)
    ]
    made += [vector(name, _twelve(answers), {"total": total}, status="final") for name, answers, total in HAND_MADE]
    made += each_moved(every(TWELVE, 2), 1, lambda answers: {"total": 12 * 2 + 1})
    complete = every(TWELVE, 4)
    made += [
        vector("bands known from memory only: none", complete, {"total": 48}, bands={"total": None}),
        vector("one missing, rule known from memory only: refused", but(complete, {"q7": None}), refused=["q7"]),
        vector(
            "two missing, rule known from memory only: refused",
            but(complete, {"q3": None, "q7": None}),
            refused=["q3", "q7"],
        ),
        vector("nothing answered", {}, refused=TWELVE),
        vector(
            "three missing: more than two",
            but(complete, {"q1": None, "q4": None, "q7": None}),
            refused=["q1", "q4", "q7"],
            allow_unverified=True,
        ),
        vector("no level 5", but(complete, {"q1": 5}), refused=["q1"]),
        vector("no level below 0", but(complete, {"q12": -1}), refused=["q12"]),
    ]
    made += [
        vector(
            name, _twelve(answers), {"total": total}, bands={"total": band}, status="preliminary", allow_unverified=True
        )
        for name, answers, total, band in IMPUTED
    ]
    made += [
        vector(
            f"band edge {total}",
            _of_sum(total),
            {"total": total},
            bands={"total": band},
            status="preliminary",
            allow_unverified=True,
        )
        for total, band in BAND_EDGES
    ]
    return made


def _oxford_file(instrument: str) -> Golden:
    return Golden(
        instrument,
        "Oxford scoring guide 2018 (a copy was read): total = sum of 12 items scored 0 to 4, 48 best; missing items "
        "take the mean of the answered ones. The limit of two missing items (Murray 2007) and the bands (Kalairajah "
        "2005) are from memory, so applied only with allow_unverified.",
        "Added up from that rule; fractions rounded half up to 6 places. The work is in the name.",
        _oxford(),
    )


ELBOW = {"function": numbered("function", 4), "pain": numbered("pain", 4), "psychosocial": numbered("psych", 4)}
FOOT = {"walking_standing": numbered("ws", 7), "pain": numbered("pain", 5), "social": numbered("si", 4)}


def _percent(points: int, highest: int) -> Fraction:
    return Fraction(100 * points, highest)


def _alone(scores: list[str], score: str, value: Number) -> dict[str, Number | None]:
    """`value` for one score; its items alone were answered, so the others are absent."""
    return {name: value if name == score else None for name in scores}


def _elbow() -> list[Vector]:
    items = [item for domain in ELBOW.values() for item in domain]
    names = list(ELBOW)
    made = [
        vector(
            f"all {level}: {4 * level}/16 in each domain",
            every(items, level),
            dict.fromkeys(names, _percent(4 * level, 16)),
            status="preliminary",
            allow_unverified=True,
        )
        for level in range(5)
    ]
    mixed = dict(zip(items, [4, 3, 2, 1, 0, 1, 0, 0, 4, 4, 3, 4], strict=True))
    made.append(
        vector(
            "mixed: 10/16, 1/16, 15/16",
            mixed,
            {"function": "62.5", "pain": "6.25", "psychosocial": "93.75"},
            status="preliminary",
            allow_unverified=True,
        )
    )
    made.append(vector("the whole rule is known from memory only: refused", mixed, refused=[]))
    for domain, of_domain in ELBOW.items():
        made += each_moved(
            every(of_domain, 2),
            1,
            lambda answers, domain=domain: _alone(names, domain, _percent(9, 16)),  # type: ignore[misc]
            allow_unverified=True,
        )
        made.append(
            vector(
                f"no rule for missing items: {domain} without its first",
                but(every(items, 3), {of_domain[0]: None}),
                {name: None if name == domain else 75 for name in names},
                status="preliminary",
                allow_unverified=True,
            )
        )
    made.append(vector("no level 5", but(mixed, {"pain2": 5}), refused=["pain2"], allow_unverified=True))
    return made


INDEX_UNVERIFIED = {**dict.fromkeys(FOOT, "final"), "index": "preliminary"}


def _foot() -> list[Vector]:
    items = [item for domain in FOOT.values() for item in domain]
    scores = [*FOOT, "index"]
    made = [
        vector(
            f"all {level}",
            every(items, level),
            dict.fromkeys(scores, 25 * level),
            status=INDEX_UNVERIFIED,
            allow_unverified=True,
        )
        for level in range(5)
    ]
    mixed = but(every(items, 0), {"ws1": 4, "ws7": 3, "pain5": 1, "si1": 2, "si4": 4})
    made.append(
        vector(
            "mixed: 7/28, 1/20, 6/16, index 14/64",
            mixed,
            {"walking_standing": 25, "pain": 5, "social": "37.5", "index": "21.875"},
            status=INDEX_UNVERIFIED,
            allow_unverified=True,
        )
    )
    made.append(
        vector(
            "the index is known from memory only: absent",
            mixed,
            {"walking_standing": 25, "pain": 5, "social": "37.5", "index": None},
            status="final",
        )
    )
    for domain, of_domain in FOOT.items():
        size = len(of_domain)
        for item in of_domain:
            expected: dict[str, Number | None] = dict.fromkeys(FOOT, 50)
            expected |= {domain: _percent(2 * size + 1, 4 * size), "index": _percent(2 * 16 + 1, 64)}
            made.append(
                vector(
                    f"only {item} moved, 2 to 3: {exact(_percent(2 * size + 1, 4 * size))} and 33/64",
                    but(every(items, 2), {item: 3}),
                    expected,
                    allow_unverified=True,
                )
            )
        made.append(
            vector(
                f"no rule for missing items: {domain} without its last, no index",
                but(every(items, 1), {of_domain[-1]: None}),
                {name: None if name in (domain, "index") else 25 for name in scores},
                status="final",
                allow_unverified=True,
            )
        )
    made.append(vector("no level 5", but(mixed, {"si4": 5}), refused=["si4"], allow_unverified=True))
    return made


GOLDEN = (
    _oxford_file("oks"),
    _oxford_file("ohs"),
    _oxford_file("oss"),
    Golden(
        "oes",
        "Dawson 2008 JBJS-Br 90-B:466, from memory: 12 items 0 to 4, 4 best; domains of four as sum/16 x 100.",
        "Counted from that rule; the work is in the name.",
        _elbow(),
    ),
    Golden(
        "moxfq",
        "Domain sizes 7, 5 and 4 (Dawson 2006 abstract); items 0 to 4, 4 worst, summed by domain and put on 0-100 "
        "(PMC9851710 table 2), so raw/28, /20, /16 x 100. The index, raw/64 x 100, is from memory.",
        "Counted from that rule; the work is in the name.",
        _foot(),
    ),
)
