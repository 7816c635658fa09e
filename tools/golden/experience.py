"""Vectors of the care experience questions: CollaboRATE, SURE, Friends and Family Test."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tools.golden.coverage import mixed, out_of_range, without
from tools.golden.vectors import Expected, Golden, each_moved, every, numbered, vector

THREE, FOUR = numbered("q", 3), numbered("q", 4)


def collaborate(answers: dict[str, Any]) -> Expected:
    return {"mean": Fraction(sum(answers.values()), 3), "top_score": int(set(answers.values()) == {9})}


RATED = mixed(THREE, [9, 7, 8])

COLLABORATE = Golden(
    "collaborate",
    "3 items 0 to 9: mean, and top score 1 if all are 9, else 0; a response with any answer missing is left out "
    "(glynelwyn.com, scoring).",
    "tools/golden/experience.py, fractions",
    [
        vector("lowest: 3 x 0", every(THREE, 0), {"mean": 0, "top_score": 0}, status="final"),
        vector("highest: 3 x 9", every(THREE, 9), {"mean": 9, "top_score": 1}, status="final"),
        vector("mixed", RATED, {"mean": 8, "top_score": 0}, status="final"),
        vector("all 8 is no top score", every(THREE, 8), {"mean": 8, "top_score": 0}),
        *each_moved(every(THREE, 9), -1, collaborate),
        *each_moved(every(THREE, 4), 1, collaborate),
        *(vector(f"{item} missing", without(RATED, item), refused=[item]) for item in THREE),
        vector("one missing whatever is allowed", without(RATED, "q2"), refused=["q2"], allow_unverified=True),
        *out_of_range(RATED, "q1", 10, -1),
    ],
)


def sure(answers: dict[str, Any]) -> Expected:
    total = sum(answers.values())
    return {"total": total, "decisional_conflict": "yes" if total < 4 else "no"}


SURE = Golden(
    "sure",
    "4 items, yes = 1 and no = 0, total 0 to 4; 3 or less is decisional conflict (Légaré 2010: abstract, and a page of "
    "the methods).",
    "tools/golden/experience.py, counted",
    [
        vector("lowest: none", every(FOUR, 0), sure(every(FOUR, 0)), status="final"),
        vector("highest: all, no conflict", every(FOUR, 1), sure(every(FOUR, 1)), status="final"),
        *each_moved(every(FOUR, 1), -1, sure),
        *each_moved(every(FOUR, 0), 1, sure),
        vector("one missing", every(FOUR[:3], 1), refused=["q4"], allow_unverified=True),
    ],
)

FFT = Golden(
    "fft",
    "An experience question, never a score of a patient; the shares are counted over a service (cuh.nhs.uk).",
    "typed",
    [vector("no score", {"q1": 1}, refused=[])],
)

GOLDEN = [COLLABORATE, SURE, FFT]
