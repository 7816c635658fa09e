"""Vectors of what people think of their pain: PSEQ, PSEQ-2, PCS, TSK-17, TSK-11."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tools.golden.coverage import adding_up, each_level, mixed, out_of_range, published, without
from tools.golden.vectors import Expected, Golden, each_moved, every, numbered, vector

TEN, TWO, THIRTEEN, SEVENTEEN, ELEVEN = (numbered("q", count) for count in (10, 2, 13, 17, 11))
AWELL = "awell-health/awell-score c37843e, unit test"


def total(answers: dict[str, Any]) -> Expected:
    return {"total": sum(answers.values())}


CONFIDENT = mixed(TEN, [0, 1, 2, 3, 4, 5, 6, 5, 4, 3])

PSEQ = Golden(
    "pseq",
    "Sum of 10 items 0 to 6, 0 to 60, higher is better; no rule for missing answers was found: all are needed. "
    "Bands below 20, 20-30, 31-40, above 40.",
    "tools/golden/beliefs.py, added up",
    [
        vector("lowest: 10 x 0", every(TEN, 0), {"total": 0}, status="final"),
        vector("highest: 10 x 6", every(TEN, 6), {"total": 60}, status="final"),
        vector("mixed", CONFIDENT, {"total": 33}, status="final"),
        *each_moved(every(TEN, 3), 1, total),
        *each_level(TEN, range(7), total),
        *(
            vector(f"{whole}, {band}", adding_up(TEN, whole, 6), {"total": whole}, bands={"total": band},
                   status="final")
            for whole, band in (
                (19, "severe"), (20, "moderate"), (30, "moderate"), (31, "mild"), (40, "mild"), (41, "minimal"),
            )
        ),
        vector("one missing whatever is allowed", without(CONFIDENT, "q5"), refused=["q5"], allow_unverified=True),
        *out_of_range(CONFIDENT, "q10", 7),
    ],
)  # fmt: skip

PSEQ_2 = Golden(
    "pseq-2",
    "Sum of 2 items 0 to 6, 0 to 12, higher is better; no rule for missing answers was found: both are needed.",
    "tools/golden/beliefs.py, added up",
    [
        vector("lowest: 2 x 0", every(TWO, 0), {"total": 0}, status="final"),
        vector("highest: 2 x 6", every(TWO, 6), {"total": 12}, status="final"),
        vector("mixed", mixed(TWO, [2, 5]), {"total": 7}, status="final"),
        *each_level(TWO, range(7), total),
        vector("one missing whatever is allowed", {"q1": 4}, refused=["q2"], allow_unverified=True),
        *out_of_range(mixed(TWO, [2, 5]), "q1", 7),
    ],
)

SUBSCALES = {
    "rumination": numbered("q", 11)[7:],
    "magnification": ["q6", "q7", "q13"],
    "helplessness": [*numbered("q", 5), "q12"],
}


def pcs(answers: dict[str, Any]) -> Expected:
    return {"total": sum(answers.values())} | {
        scale: sum(answers[item] for item in items) for scale, items in SUBSCALES.items()
    }


WORRIED = mixed(THIRTEEN, [0, 1, 2, 3, 0, 0, 1, 4, 2, 1, 3, 0, 4])
WORRIED_SCORES: Expected = {"total": 21, "rumination": 10, "magnification": 5, "helplessness": 6}
if pcs(WORRIED) != WORRIED_SCORES:
    raise ValueError(f"{pcs(WORRIED)} is published as {WORRIED_SCORES}")

PCS = Golden(
    "pcs",
    "13 items 0 to 4, total 0 to 52, higher is worse; rumination 8 to 11, magnification 6, 7, 13, helplessness 1 to 5 "
    "and 12 (awell-score c37843e). No rule for missing answers was found: each score needs all its items.",
    "tools/golden/beliefs.py, added up",
    [
        vector("lowest: 13 x 0", every(THIRTEEN, 0), pcs(every(THIRTEEN, 0)), status="final"),
        vector("highest: 13 x 4", every(THIRTEEN, 4), pcs(every(THIRTEEN, 4)), status="final"),
        vector("mixed", WORRIED, WORRIED_SCORES, status="final", source=f"{AWELL}, random response: 21, 10, 5, 6"),
        *each_moved(every(THIRTEEN, 2), 1, pcs),
        *each_level(THIRTEEN, range(5), pcs),
        *(
            vector(f"{item} missing: no {scale}, no total", without(WORRIED, item),
                   {**WORRIED_SCORES, "total": None, scale: None}, status="final")
            for item, scale in (("q12", "helplessness"), ("q8", "rumination"), ("q13", "magnification"))
        ),
        vector("one of each subscale missing", without(WORRIED, "q1", "q6", "q11"), refused=["q1", "q6", "q11"]),
        *out_of_range(WORRIED, "q9", 5),
    ],
)  # fmt: skip

REVERSED = ("q4", "q8", "q12", "q16")


def tsk_17(answers: dict[str, Any]) -> Expected:
    return {"total": sum(5 - answer if item in REVERSED else answer for item, answer in answers.items())}


def turned(level: int) -> dict[str, Any]:
    """Every item worth `level`."""
    return {item: 5 - level if item in REVERSED else level for item in SEVENTEEN}


def tampa(raw: Sequence[int], expected: str) -> dict[str, Any]:
    answers = mixed(SEVENTEEN, raw)
    published(tsk_17(answers)["total"], expected)
    return answers


HALVES = tampa([2, 2, 2, 3, 2, 2, 2, 3, 3, 3, 3, 2, 3, 3, 3, 2, 3], "43")
AFRAID = tampa([1, 3, 3, 2, 2, 3, 2, 2, 3, 2, 3, 3, 2, 3, 3, 3, 3], "43")

TSK_17 = Golden(
    "tsk-17",
    "17 items 1 to 4, items 4, 8, 12 and 16 reversed (5 - answer), sum 17 to 68, higher is worse (awell-score "
    "c37843e); all are needed.",
    "tools/golden/beliefs.py, added up",
    [
        vector("lowest: 1, reversed items 4", turned(1), {"total": 17}, status="final", source=f"{AWELL}: 17"),
        vector("highest: 4, reversed items 1", turned(4), {"total": 68}, status="final", source=f"{AWELL}: 68"),
        vector("halves", HALVES, {"total": 43}, status="final", source=f"{AWELL}, median response: 43"),
        vector("mixed", AFRAID, {"total": 43}, status="final", source=f"{AWELL}, random response: 43"),
        vector("all answered 1: 13 + 4 x 4", every(SEVENTEEN, 1), {"total": 29}),
        vector("all answered 4: 52 + 4 x 1", every(SEVENTEEN, 4), {"total": 56}),
        *each_moved(every(SEVENTEEN, 2), 1, tsk_17),
        *each_level(SEVENTEEN, range(1, 5), tsk_17),
        vector("one missing", without(AFRAID, "q8"), refused=["q8"]),
        *out_of_range(AFRAID, "q1", 5, 0),
        *out_of_range(AFRAID, "q16", 0),
    ],
)

MOVING = mixed(ELEVEN, [1, 2, 3, 4, 3, 2, 1, 2, 3, 4, 2])

TSK_11 = Golden(
    "tsk-11",
    "11 items 1 to 4, none reversed, sum 11 to 44, higher is worse (Woby 2005); all are needed.",
    "tools/golden/beliefs.py, added up",
    [
        vector("lowest: 11 x 1", every(ELEVEN, 1), {"total": 11}, status="final"),
        vector("highest: 11 x 4", every(ELEVEN, 4), {"total": 44}, status="final"),
        vector("mixed", MOVING, {"total": 27}, status="final"),
        *each_moved(every(ELEVEN, 2), 1, total),
        *each_level(ELEVEN, range(1, 5), total),
        vector("one missing", without(MOVING, "q11"), refused=["q11"]),
        *out_of_range(MOVING, "q4", 5, 0),
    ],
)

GOLDEN = [PSEQ, PSEQ_2, PCS, TSK_17, TSK_11]
