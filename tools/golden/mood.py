"""Vectors of the anxiety and depression screens: PHQ-9, PHQ-2, PHQ-4, GAD-7, GAD-2, HADS."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tools.golden.coverage import each_level, mixed, out_of_range, without
from tools.golden.vectors import Expected, Golden, Vector, each_moved, every, numbered, vector

TWO, FOUR, SEVEN, NINE, FOURTEEN = (numbered("q", count) for count in (2, 4, 7, 9, 14))
ANXIETY, DEPRESSION = FOURTEEN[::2], FOURTEEN[1::2]
AWELL = "awell-health/awell-score c37843e, unit test"


def total(answers: dict[str, Any]) -> Expected:
    return {"total": sum(answers.values())}


def phq_9(name: str, answers: list[int], band: str) -> Vector:
    """A complete response; item 9 above 0 is an alert."""
    alerts = {"item9": answers[8]} if answers[8] else None
    return vector(name, mixed(NINE, answers), {"total": sum(answers)}, status="final", bands={"total": band},
                  alerts=alerts)  # fmt: skip


def alone(item: int) -> list[int]:
    return [int(place == item) for place in range(9)]


PHQ_9 = Golden(
    "phq-9",
    "Sum of 9 items 0 to 3; bands 0-4, 5-9, 10-14, 15-19, 20-27 (awell-score c37843e). Item 9 above 0 is an alert "
    "whatever the total. No missing answer is made up for.",
    "tools/golden/mood.py, added up; bands typed",
    [
        phq_9("none: 9 x 0", [0] * 9, "minimal"),
        phq_9("most: 9 x 3", [3] * 9, "severe"),
        phq_9("4, top of minimal", [1, 1, 1, 1, 0, 0, 0, 0, 0], "minimal"),
        phq_9("5, start of mild", [1, 1, 1, 1, 1, 0, 0, 0, 0], "mild"),
        phq_9("9, top of mild", [3, 3, 3, 0, 0, 0, 0, 0, 0], "mild"),
        phq_9("10, start of moderate", [3, 3, 3, 1, 0, 0, 0, 0, 0], "moderate"),
        phq_9("14, top of moderate", [3, 3, 3, 3, 2, 0, 0, 0, 0], "moderate"),
        phq_9("15, start of moderately severe", [3, 3, 3, 3, 3, 0, 0, 0, 0], "moderately-severe"),
        phq_9("19, top of moderately severe", [3, 3, 3, 3, 3, 3, 1, 0, 0], "moderately-severe"),
        phq_9("20, start of severe", [3, 3, 3, 3, 3, 3, 2, 0, 0], "severe"),
        phq_9("each level: 0+1+2+3+0+1+2+3+1 = 13", [0, 1, 2, 3, 0, 1, 2, 3, 1], "moderate"),
        *(phq_9(f"item {item + 1} alone", alone(item), "minimal") for item in range(9)),
        *(phq_9(f"item 9 alone, {level}", [0] * 8 + [level], "minimal") for level in (2, 3)),
        vector("item 9 missing: no total", every(NINE[:8], 1), refused=["q9"]),
        vector("one missing: no total, the alert all the same", mixed(NINE[1:], [0] * 7 + [2]), refused=["q1"],
               alerts={"item9": 2}),
        vector("missing is not allowed even where unverified rules are", every(NINE[1:], 0), refused=["q1"],
               allow_unverified=True),
        *out_of_range(every(NINE, 0), "q5", 4),
    ],
)  # fmt: skip


def pair(instrument: str, what: str) -> Golden:
    return Golden(
        instrument,
        f"Sum of 2 items 0 to 3, 0 to 6, higher is worse ({what}); both are needed. From 3 positive.",
        "tools/golden/mood.py, added up",
        [
            vector("lowest: 2 x 0", every(TWO, 0), {"total": 0}, status="final"),
            vector("highest: 2 x 3", every(TWO, 3), {"total": 6}, status="final"),
            vector("mixed", mixed(TWO, [1, 2]), {"total": 3}, status="final"),
            vector("mixed, the other way", mixed(TWO, [2, 0]), {"total": 2}),
            *each_level(TWO, range(4), total),
            *(
                vector(f"{sum(given)}, {band}", mixed(TWO, given), {"total": sum(given)}, bands={"total": band},
                       status="final")
                for given, band in (([2, 0], "negative"), ([0, 3], "positive"))
            ),
            vector("one missing whatever is allowed", {"q2": 3}, refused=["q1"], allow_unverified=True),
            *out_of_range(mixed(TWO, [1, 2]), "q2", 4),
        ],
    )  # fmt: skip


def phq_4(answers: dict[str, Any]) -> Expected:
    anxiety, depression = (answers["q1"] + answers["q2"], answers["q3"] + answers["q4"])
    return {
        "total": anxiety + depression,
        "anxiety": anxiety,
        "anxiety_positive": "positive" if anxiety >= 3 else "negative",
        "depression": depression,
        "depression_positive": "positive" if depression >= 3 else "negative",
    }


def distress(name: str, answers: list[int], band: str, source: str | None = None) -> Vector:
    return vector(name, mixed(FOUR, answers), phq_4(mixed(FOUR, answers)), bands={"total": band}, status="final",
                  source=source)  # fmt: skip


HALF = mixed(FOUR, [0, 1, 3, 1])

PHQ_4 = Golden(
    "phq-4",
    "Items 1 and 2 anxiety, 3 and 4 depression, each 0 to 6, from 3 positive; total 0 to 12, bands 0-2, 3-5, 6-8, 9-12 "
    "(awell-score c37843e). No rule for missing answers: each score needs all its items.",
    "tools/golden/mood.py, added up; bands typed",
    [
        distress("lowest: 4 x 0", [0, 0, 0, 0], "normal", f"{AWELL}: 0, negative, normal"),
        distress("highest: 4 x 3", [3, 3, 3, 3], "severe", f"{AWELL}: 12, positive, severe"),
        distress("mixed: 3 and 3", [2, 1, 2, 1], "moderate", f"{AWELL}: 3, 3, 6, positive, moderate"),
        distress("mixed: 1 and 4", [0, 1, 3, 1], "mild", f"{AWELL}: 1, 4, 5, depression positive, mild"),
        distress("2, top of normal", [1, 1, 0, 0], "normal"),
        distress("3, start of mild", [1, 1, 0, 1], "mild"),
        distress("5, top of mild; anxiety 3, depression 2", [0, 3, 2, 0], "mild"),
        distress("6, start of moderate", [3, 3, 0, 0], "moderate"),
        distress("8, top of moderate; anxiety 2, depression 6", [1, 1, 3, 3], "moderate"),
        distress("9, start of severe", [3, 0, 3, 3], "severe"),
        *each_moved(every(FOUR, 1), 1, phq_4),
        *each_level(FOUR, range(4), phq_4),
        vector("q1 missing: depression alone", without(HALF, "q1"),
               {**phq_4(HALF), "total": None, "anxiety": None, "anxiety_positive": None}, status="final"),
        vector("q4 missing: anxiety alone", without(HALF, "q4"),
               {**phq_4(HALF), "total": None, "depression": None, "depression_positive": None}, status="final"),
        vector("one of each missing", {"q2": 3, "q3": 3}, refused=["q1", "q4"]),
        *out_of_range(HALF, "q3", 4),
    ],
)  # fmt: skip


def gad_7(name: str, answers: list[int], band: str) -> Vector:
    return vector(name, mixed(SEVEN, answers), {"total": sum(answers)}, bands={"total": band}, status="final")


GAD_7 = Golden(
    "gad-7",
    "Sum of 7 items 0 to 3, 0 to 21; bands from 0, 5, 10, 15 (awell-score c37843e); all are needed.",
    "tools/golden/mood.py, added up; bands typed",
    [
        gad_7("lowest: 7 x 0", [0] * 7, "minimal"),
        gad_7("highest: 7 x 3", [3] * 7, "severe"),
        gad_7("4, top of minimal", [1, 0, 1, 0, 1, 0, 1], "minimal"),
        gad_7("5, start of mild", [2, 0, 1, 0, 1, 0, 1], "mild"),
        gad_7("9, top of mild", [0, 3, 0, 3, 0, 3, 0], "mild"),
        gad_7("10, start of moderate", [0, 3, 0, 3, 1, 3, 0], "moderate"),
        gad_7("14, top of moderate", [2] * 7, "moderate"),
        gad_7("15, start of severe", [2, 2, 2, 2, 2, 2, 3], "severe"),
        *each_moved(every(SEVEN, 1), 1, total),
        *each_level(SEVEN, range(4), total),
        vector("one missing", every(SEVEN[1:], 1), refused=["q1"]),
        vector("one missing whatever is allowed", every(SEVEN[:6], 1), refused=["q7"], allow_unverified=True),
        *out_of_range(every(SEVEN, 1), "q2", 4),
    ],
)


def hads(answers: dict[str, Any]) -> Expected:
    """Seven items each; with one missing, seven times the mean of the six."""
    scores: dict[str, Fraction | None] = {}
    for scale, items in (("anxiety", ANXIETY), ("depression", DEPRESSION)):
        given = [answers[item] for item in items if item in answers]
        scores[scale] = Fraction(7 * sum(given), len(given)) if len(given) >= 6 else None
    return scores


def hads_band(name: str, anxious: list[int], band: str) -> Vector:
    """`anxious` for the anxiety items, 1 each for depression: 7, normal."""
    answers = mixed(ANXIETY, anxious) | every(DEPRESSION, 1)
    return vector(name, answers, {"anxiety": sum(anxious), "depression": 7}, status="final",
                  bands={"anxiety": band, "depression": "normal"})  # fmt: skip


def swapped(answers: dict[str, Any]) -> dict[str, Any]:
    """Anxiety and depression exchanged."""
    other = dict(zip([*ANXIETY, *DEPRESSION], [*DEPRESSION, *ANXIETY], strict=True))
    return {item: answers[other[item]] for item in FOURTEEN}


CASE = mixed(FOURTEEN, [3, 1, 1, 0, 0, 2, 1, 3, 2, 0, 1, 1, 3, 0])
BORDER = mixed(ANXIETY, [2, 2, 1, 1, 1, 1, 1]) | mixed(DEPRESSION, [3, 2, 2, 1, 1, 1, 1])

HADS = Golden(
    "hads",
    "14 item scores 0 to 3: odd items anxiety, even items depression, each 0 to 21; bands 0-7, 8-10, 11-21 "
    "(awell-score c37843e; bands on a copy of the form too). The rule for one missing of seven (mean of the six) is "
    "from memory: applied only where unverified rules are allowed.",
    "tools/golden/mood.py, fractions; bands typed",
    [
        vector("lowest: 14 x 0", every(FOURTEEN, 0), {"anxiety": 0, "depression": 0}, status="final"),
        vector("highest: 14 x 3", every(FOURTEEN, 3), {"anxiety": 21, "depression": 21}, status="final"),
        vector("mixed", CASE, {"anxiety": 11, "depression": 7}, status="final",
               source=f"{AWELL}, random response: 11 and 7"),
        vector("mixed, the other way round", swapped(CASE), {"anxiety": 7, "depression": 11}, status="final"),
        *each_moved(every(FOURTEEN, 1), 1, hads),
        *each_level(FOURTEEN, range(4), hads),
        hads_band("anxiety 7, top of normal", [1] * 7, "normal"),
        hads_band("anxiety 8, start of borderline", [2, 1, 1, 1, 1, 1, 1], "borderline"),
        hads_band("anxiety 10, top of borderline", [2, 2, 2, 1, 1, 1, 1], "borderline"),
        hads_band("anxiety 11, start of abnormal", [2, 2, 2, 2, 1, 1, 1], "abnormal"),
        *(
            vector(f"anxiety {anxiety}, depression {depression}", answers,
                   {"anxiety": anxiety, "depression": depression}, status="final",
                   bands={"anxiety": "normal", "depression": band})
            for depression, band in ((7, "normal"), (8, "borderline"), (10, "borderline"), (11, "abnormal"))
            for anxiety in [6]
            for answers in [mixed(ANXIETY, [1, 1, 1, 1, 1, 1, 0])
                            | mixed(DEPRESSION, [1 + (place < depression - 7) for place in range(7)])]
        ),
        vector("one anxiety item missing, rule from memory", without(CASE, "q5"), {"anxiety": None, "depression": 7}),
        vector("one anxiety item missing: 11 x 7 / 6", without(CASE, "q5"), hads(without(CASE, "q5")),
               status={"anxiety": "preliminary"}, allow_unverified=True),
        vector("one missing on each side", without(BORDER, "q1", "q2"), hads(without(BORDER, "q1", "q2")),
               status="preliminary", allow_unverified=True),
        vector("two anxiety items missing", without(CASE, "q5", "q7"), {"anxiety": None, "depression": 7},
               allow_unverified=True),
        vector("two depression items missing", without(CASE, "q2", "q8"), {"anxiety": 11, "depression": None},
               allow_unverified=True),
        vector("one missing on each side, rule from memory", without(CASE, "q13", "q14"), refused=["q13", "q14"]),
        *out_of_range(CASE, "q14", 4),
    ],
)  # fmt: skip

GOLDEN = [PHQ_9, pair("phq-2", "awell-score c37843e"), PHQ_4, GAD_7, pair("gad-2", "awell-score c37843e"), HADS]
