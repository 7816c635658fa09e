"""Vectors of the pain ratings: PSFS, NPRS, PDI, BPI-SF."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tools.golden.coverage import mixed, out_of_range, published, without
from tools.golden.vectors import Expected, Golden, each_moved, every, numbered, vector

ACTIVITIES = numbered("activity", 5)
SEVEN = numbered("q", 7)
SEVERITY = numbered("severity", 4)
INTERFERENCE = numbered("interference", 7)


def mean(values: Any) -> Fraction:
    given = list(values)
    return Fraction(sum(given), len(given))


def psfs(answers: dict[str, Any]) -> Expected:
    return {"mean": mean(answers.values())}


ABLE = mixed(ACTIVITIES, [3, 7, 0, 10, 5])

PSFS = Golden(
    "psfs",
    "Mean of the activities rated, 3 to 5 of them, each 0 (unable) to 10 (as before), higher is better "
    "(rehabmeasures).",
    "tools/golden/pain.py, fractions",
    [
        vector("lowest: 5 x 0", every(ACTIVITIES, 0), {"mean": 0}, status="final"),
        vector("highest: 5 x 10", every(ACTIVITIES, 10), {"mean": 10}, status="final"),
        vector("mixed: 25 / 5", ABLE, psfs(ABLE), status="final"),
        *each_moved(every(ACTIVITIES, 4), 1, psfs),
        vector("four rated: 20 / 4", without(ABLE, "activity5"), psfs(without(ABLE, "activity5")), status="final"),
        vector("three rated: 10 / 3", mixed(ACTIVITIES[:3], [3, 7, 0]), {"mean": Fraction(10, 3)}, status="final"),
        vector("three rated, two left out before", mixed(ACTIVITIES[2:], [1, 2, 2]), {"mean": Fraction(5, 3)}),
        vector("two rated", mixed(ACTIVITIES[:2], [3, 7]), refused=ACTIVITIES[2:]),
        vector("none rated", {}, refused=ACTIVITIES),
        *out_of_range(ABLE, "activity2", 11, -1),
    ],
)

NPRS = Golden(
    "nprs",
    "The rating itself, a whole number 0 to 10, higher is worse (abstract of Farrar 2001). Bands 0, 1-3, 4-6, 7-10.",
    "typed",
    [
        *(vector(f"rated {n}", {"q1": n}, {"score": n}, status="final") for n in range(11)),
        *(
            vector(f"rated {n}, {band}", {"q1": n}, {"score": n}, bands={"score": band}, status="final")
            for n, band in (
                (0, "none"), (1, "mild"), (3, "mild"), (4, "moderate"), (6, "moderate"), (7, "severe"), (10, "severe"),
            )
        ),
        vector("not rated", {}, refused=["q1"], allow_unverified=True),
        *out_of_range({}, "q1", 11, -1),
    ],
)  # fmt: skip


def pdi(answers: dict[str, Any]) -> Expected:
    return {"total": sum(answers.values())}


DISABLED = mixed(SEVEN, [1, 4, 3, 2, 0, 0, 10])
published(sum(DISABLED.values()), "20")

PDI = Golden(
    "pdi",
    "Sum of 7 ratings 0 to 10, 0 to 70, higher is worse (awell-score c37843e).",
    "tools/golden/pain.py, added up",
    [
        vector("lowest: 7 x 0", every(SEVEN, 0), {"total": 0}, status="final", source="awell-score, best response: 0"),
        vector("highest: 7 x 10", every(SEVEN, 10), {"total": 70}, status="final",
               source="awell-score, worst response: 70"),
        vector("mixed", DISABLED, {"total": 20}, status="final", source="awell-score, random response: 20"),
        *each_moved(every(SEVEN, 5), 1, pdi),
        vector("one missing", without(DISABLED, "q6"), refused=["q6"]),
        *out_of_range(DISABLED, "q7", 11),
    ],
)  # fmt: skip


def bpi(answers: dict[str, Any]) -> Expected:
    rated = [answers[item] for item in INTERFERENCE if item in answers]
    severity = [answers[item] for item in SEVERITY if item in answers]
    return {
        "severity": mean(severity) if len(severity) == 4 else None,
        "interference": mean(rated) if len(rated) >= 4 else None,
    }


ALL = [*SEVERITY, *INTERFERENCE]
PAIN = mixed(ALL, [8, 2, 5, 4, 7, 3, 10, 0, 6, 9, 1])
FIVES = every(ALL, 5)

BPI = Golden(
    "bpi-sf",
    "Severity: mean of 4 ratings 0 to 10, all needed. Interference: mean of 7, at least 4 of them answered (ePPOC, "
    "ahsri.atlassian.net). Higher is worse.",
    "tools/golden/pain.py, fractions",
    [
        vector("lowest: all 0", every(ALL, 0), bpi(every(ALL, 0)), status="final"),
        vector("highest: all 10", every(ALL, 10), bpi(every(ALL, 10)), status="final"),
        vector("mixed: 19 / 4 and 36 / 7", PAIN, bpi(PAIN), status="final"),
        *each_moved(FIVES, 1, bpi),
        *(
            vector(f"{7 - missing} of 7 interference items", answers, bpi(answers), status="final")
            for missing in (1, 2, 3, 4, 7)
            for answers in [without(PAIN, *INTERFERENCE[:missing])]
        ),
        *(
            vector(f"{item} missing: no severity", without(PAIN, item), bpi(without(PAIN, item)), status="final")
            for item in SEVERITY
        ),
        vector("severity and interference missing", dict.fromkeys([*SEVERITY[1:], *INTERFERENCE[:3]], 3),
               refused=["severity1", *INTERFERENCE[3:]]),
        *out_of_range(PAIN, "severity1", 11),
        *out_of_range(PAIN, "interference7", -1),
    ],
)  # fmt: skip

GOLDEN = [PSFS, NPRS, PDI, BPI]
