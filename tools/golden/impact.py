"""Vectors of the impact and fatigue scores: RAID, PsAID-12, FACIT-Fatigue."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tools.golden.coverage import each_level, mixed, out_of_range, published, without
from tools.golden.vectors import Expected, Golden, each_moved, every, numbered, vector

RAID_HUNDREDTHS = {
    "pain": 21, "function": 16, "fatigue": 15, "sleep": 12, "physical_wellbeing": 12, "emotional_wellbeing": 12,
    "coping": 12,
}  # fmt: skip
PSAID_TWENTIETHS = {
    "pain": 3, "fatigue": 2, "skin": 2, "work_leisure": 2, "function": 2, "discomfort": 2, "sleep": 2, "coping": 1,
    "anxiety": 1, "embarrassment": 1, "social": 1, "depression": 1,
}  # fmt: skip


def weighted(weights: Mapping[str, int], answers: dict[str, Any]) -> Fraction:
    """A missing item counts as the plain mean of the answered ones, then takes its own weight."""
    average = Fraction(sum(answers.values()), len(answers))
    return sum((weight * Fraction(answers.get(item, average)) for item, weight in weights.items()), Fraction(0)) / sum(
        weights.values()
    )


def raid(answers: dict[str, Any]) -> Expected:
    return {"raid": weighted(RAID_HUNDREDTHS, answers)}


def psaid(answers: dict[str, Any]) -> Expected:
    return {"psaid12": weighted(PSAID_TWENTIETHS, answers)}


SEVEN, TWELVE = list(RAID_HUNDREDTHS), list(PSAID_TWENTIETHS)
ARTHRITIS = mixed(SEVEN, [8, 3, 10, 1, 6, 0, 4])

RAID = Golden(
    "raid",
    "Seven ratings 0 to 10: pain .21, function .16, fatigue .15, sleep, physical and emotional wellbeing and coping "
    ".12 each; one missing takes the mean of the other six, two are too many; higher is worse. From memory (Gossec "
    "2011): scored only where unverified rules are allowed.",
    "tools/golden/impact.py, fractions",
    [
        vector("lowest: 7 x 0", every(SEVEN, 0), {"raid": 0}, status="preliminary", allow_unverified=True),
        vector("highest: 7 x 10", every(SEVEN, 10), {"raid": 10}, status="preliminary", allow_unverified=True),
        vector("mixed", ARTHRITIS, raid(ARTHRITIS), status="preliminary", allow_unverified=True),
        vector("from memory: not scored unless allowed", ARTHRITIS, refused=[]),
        *each_moved(every(SEVEN, 5), 1, raid, allow_unverified=True),
        *(
            vector(f"{item} missing", without(ARTHRITIS, item), raid(without(ARTHRITIS, item)), status="preliminary",
                   allow_unverified=True)
            for item in SEVEN
        ),
        vector("one missing, weights and rule from memory", without(ARTHRITIS, "sleep"), refused=[]),
        vector("two missing", without(ARTHRITIS, "sleep", "pain"), refused=["pain", "sleep"], allow_unverified=True),
        *out_of_range(ARTHRITIS, "fatigue", 11),
    ],
)  # fmt: skip

RHEUMTOOLS = mixed(TWELVE, [8, 10, 6, 6, 6, 9, 9, 5, 10, 8, 6, 1])
RHEUMTOOLS_2 = mixed(TWELVE, [6, 2, 5, 9, 0, 8, 1, 4, 6, 3, 5, 7])
published(weighted(PSAID_TWENTIETHS, RHEUMTOOLS), "7.3")
published(weighted(PSAID_TWENTIETHS, RHEUMTOOLS_2), "4.7")

PSAID_12 = Golden(
    "psaid-12",
    "(3 pain + 2 (fatigue + skin + work + function + discomfort + sleep) + coping + anxiety + embarrassment + social + "
    "depression) / 20; one missing takes the mean of the other eleven, two are too many; 0 to 10, higher is worse "
    "(Gossec 2014, table 4). Below 4 acceptable (fragla/rheumtools).",
    "tools/golden/impact.py, fractions",
    [
        vector("lowest: 12 x 0", every(TWELVE, 0), {"psaid12": 0}, status="final"),
        vector("highest: 12 x 10", every(TWELVE, 10), {"psaid12": 10}, status="final"),
        vector("mixed: 146 / 20", RHEUMTOOLS, psaid(RHEUMTOOLS), status="final",
               source="fragla/rheumtools test-psaid.R: 7.3"),
        vector("mixed: 93 / 20", RHEUMTOOLS_2, psaid(RHEUMTOOLS_2), status="final",
               source="fragla/rheumtools test-psaid.R: 4.7 at one decimal"),
        vector("79 / 20, acceptable", {**every(TWELVE, 4), "social": 3}, {"psaid12": Fraction(79, 20)},
               bands={"psaid12": "acceptable"}),
        vector("80 / 20, not acceptable", every(TWELVE, 4), {"psaid12": 4}, bands={"psaid12": "not-acceptable"}),
        *each_moved(every(TWELVE, 5), 1, psaid),
        *(
            vector(f"{item} missing", without(RHEUMTOOLS, item), psaid(without(RHEUMTOOLS, item)), status="final")
            for item in TWELVE
        ),
        vector("two missing", without(RHEUMTOOLS, "pain", "depression"), refused=["pain", "depression"]),
        vector("two missing are too many whatever is allowed", without(RHEUMTOOLS, "skin", "social"),
               refused=["skin", "social"], allow_unverified=True),
        *out_of_range(RHEUMTOOLS, "coping", 11, -1),
    ],
)  # fmt: skip

THIRTEEN = numbered("q", 13)
POSITIVE = ("q7", "q8")


def facit(answers: dict[str, Any]) -> Expected:
    """All but items 7 and 8 are reversed; the sum is prorated to 13 items."""
    points = [answer if item in POSITIVE else 4 - answer for item, answer in answers.items()]
    return {"total": Fraction(13 * sum(points), len(points))}


def worth(points: int) -> dict[str, Any]:
    """Every item worth `points`."""
    return {item: points if item in POSITIVE else 4 - points for item in THIRTEEN}


TIRED = mixed(THIRTEEN, [4, 3, 2, 1, 0, 2, 1, 3, 3, 2, 4, 1, 2])
"""Points 0 1 2 3 4 2 1 3 1 2 0 3 2: 24."""

FACIT_F = Golden(
    "facit-f",
    "13 items 0 to 4, all but 7 and 8 reversed (4 - answer), sum 0 to 52, higher is less fatigue; sum x 13 / n when "
    "more than half, 7, are answered (raybaser/FACTscorer, scoreFACIT_Fatigue: An5 and An7 alone not reversed).",
    "tools/golden/impact.py, fractions",
    [
        vector("lowest: most fatigue", worth(0), {"total": 0}, status="final"),
        vector("highest: no fatigue", worth(4), {"total": 52}, status="final"),
        vector("mixed", TIRED, {"total": 24}, status="final"),
        vector("all answered 0: 11 x 4", every(THIRTEEN, 0), {"total": 44}),
        vector("all answered 4: 2 x 4", every(THIRTEEN, 4), {"total": 8}),
        *each_moved(every(THIRTEEN, 2), 1, facit),
        *each_level(THIRTEEN, range(5), facit),
        vector("q7 missing, prorated from 12", without(TIRED, "q7"), facit(without(TIRED, "q7")), status="final"),
        *(
            vector(f"{13 - count} answered", answers, facit(answers), status="final")
            for count in (1, 2, 6)
            for answers in [without(TIRED, *THIRTEEN[:count])]
        ),
        vector("q8 missing, prorated from 12", without(TIRED, "q8"), facit(without(TIRED, "q8")),
               status="final"),
        vector("6 answered", without(TIRED, *THIRTEEN[:7]), refused=THIRTEEN[:7]),
        vector("6 answered whatever is allowed", without(TIRED, *THIRTEEN[6:]), refused=THIRTEEN[6:],
               allow_unverified=True),
        *out_of_range(TIRED, "q13", 5),
    ],
)  # fmt: skip

GOLDEN = [RAID, PSAID_12, FACIT_F]
