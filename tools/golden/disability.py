"""Vectors of HAQ-DI and RAPID3."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from tools.golden.coverage import each_level, mixed, out_of_range, published, without
from tools.golden.vectors import Expected, Golden, but, each_moved, every, vector

COUNTS = {"dressing": 2, "arising": 2, "eating": 3, "walking": 2, "hygiene": 3, "reach": 2, "grip": 3, "activities": 3}
CATEGORIES = {name: [f"{name}_{number}" for number in range(1, count + 1)] for name, count in COUNTS.items()}
TWENTY = [item for items in CATEGORIES.values() for item in items]
TICKS = [f"{what}_{name}" for what in ("aid", "help") for name in CATEGORIES]


def haq(answers: dict[str, Any]) -> Expected:
    """Mean over the categories answered of the highest item, at least 2 with an aid or help."""
    worst = []
    for name, items in CATEGORIES.items():
        if given := [answers[item] for item in items if item in answers]:
            helped = answers.get(f"aid_{name}") == 1 or answers.get(f"help_{name}") == 1
            worst.append(max(*given, 2) if helped else max(given))
    return {"di": Fraction(sum(worst), len(worst))}


BEST, WORST = every(TWENTY, 0), every(TWENTY, 3)
MIXED = mixed(TWENTY, [0, 1, 2, 1, 0, 0, 3, 1, 1, 0, 2, 1, 0, 0, 1, 1, 0, 2, 3, 1])
"""Category scores 1 2 3 1 2 0 1 3."""
TICKED = "an aid or help raises 0 and 1 to 2 and leaves 2 and 3 (CLINHAQ 96.4)"


AWELL = but(
    mixed(TWENTY, [2, 1, 0, 3, 1, 0, 2, 0, 1, 0, 1, 1, 3, 3, 1, 1, 3, 0, 0, 1]),
    every(["aid_dressing", "aid_arising", "aid_hygiene", "help_dressing", "help_arising", "help_walking",
           "help_hygiene"], 1),
)  # fmt: skip


def one_each(place: int, start: int) -> dict[str, Any]:
    """One item of each category, the others 0, so that no other hides its level."""
    chosen = [items[min(place, len(items) - 1)] for items in CATEGORIES.values()]
    return BEST | {item: (start + number) % 4 for number, item in enumerate(chosen)}


def missing(count: int) -> list[str]:
    """The items of the last `count` categories."""
    return [item for name in list(CATEGORIES)[8 - count :] for item in CATEGORIES[name]]


HAQ_DI = Golden(
    "haq-di",
    "Eight categories, each its highest item, at least 2 when an aid, device or help is used for it; mean over the "
    "categories answered, 0 to 3, higher is worse (CLINHAQ 96.4, abbeyscientific copy). At least six categories: the "
    "definition of LOINC 75874-8.",
    "tools/golden/disability.py, fractions",
    [
        vector("lowest: all 0", BEST, {"di": 0}, status="final"),
        vector("highest: all 3", WORST, {"di": 3}, status="final"),
        vector("mixed: 1 + 2 + 3 + 1 + 2 + 0 + 1 + 3 = 13 / 8", MIXED, {"di": Fraction(13, 8)}, status="final"),
        vector("mixed, aided: 2 + 3 + 2 + 2 + 2 + 3 + 3 + 1 = 18 / 8", AWELL, {"di": Fraction(9, 4)}, status="final",
               source="awell-score haq.test.ts, random response: 2.25"),
        vector("no aid, no help: all answered no", but(MIXED, every(TICKS, 0)), {"di": Fraction(13, 8)}),
        *each_moved(BEST, 1, haq),
        *(
            vector(f"item {place + 1} of each category, levels in turn from {start}", answers, haq(answers))
            for place in range(3)
            for start in range(4)
            for answers in [one_each(place, start)]
        ),
        vector("the highest of a category counts, 1 and 2 give 2", but(BEST, {"dressing_1": 1, "dressing_2": 2}),
               {"di": Fraction(1, 4)}, source="CLINHAQ 96.4, example"),
        *(vector(f"{tick}: 0 to 2", but(BEST, {tick: 1}), {"di": Fraction(1, 4)}, source=TICKED) for tick in TICKS),
        vector("all ticked, all 0: all 2", but(BEST, every(TICKS, 1)), {"di": 2}, source=TICKED),
        vector("all ticked, all 1: all 2", every(TWENTY, 1) | every(TICKS, 1), {"di": 2}, source=TICKED),
        vector("all ticked, all 2: still 2", every(TWENTY, 2) | every(TICKS, 1), {"di": 2},
               source=TICKED),
        vector("all ticked, all 3: still 3", but(WORST, every(TICKS, 1)), {"di": 3}, source=TICKED),
        vector("mixed, all ticked: 2 + 2 + 3 + 2 + 2 + 2 + 2 + 3 = 18 / 8", but(MIXED, every(TICKS, 1)),
               {"di": Fraction(9, 4)}, source=TICKED),
        *(
            vector(f"{item} missing, its category answered", without(MIXED, item), haq(without(MIXED, item)),
                   status="final")
            for item in ("arising_2", "eating_1", "activities_2")
        ),
        vector("seven categories: 10 / 7", without(MIXED, *missing(1)), {"di": Fraction(10, 7)}, status="final"),
        vector("six categories: 9 / 6", without(MIXED, *missing(2)), {"di": Fraction(3, 2)}, status="final"),
        vector("six categories, aid of a missing one ticked: 9 / 6", but(without(MIXED, *missing(2)), {"aid_grip": 1}),
               {"di": Fraction(3, 2)}),
        vector("five categories", without(MIXED, *missing(3)), refused=missing(3)),
        *out_of_range(MIXED, "grip_3", 4),
        *out_of_range(MIXED, "aid_reach", 2),
    ],
)  # fmt: skip

FUNCTION = [f"fn_{letter}" for letter in "abcdefghij"]


def rapid3(answers: dict[str, Any]) -> Expected:
    """Function is rounded to one decimal before it is added."""
    function = (Decimal(sum(answers[item] for item in FUNCTION)) / 3).quantize(Decimal("0.1"), ROUND_HALF_UP)
    whole = function + Decimal(str(answers["pain_0_10"])) + Decimal(str(answers["global_0_10"]))
    severity = "near-remission" if whole <= 3 else "low" if whole <= 6 else "moderate" if whole <= 12 else "high"
    return {"function_0_10": function, "rapid3": whole, "severity": severity}


def form(function: int, pain: float, overall: float) -> dict[str, Any]:
    """Function items adding up to `function`."""
    items = {item: min(3, max(0, function - 3 * place)) for place, item in enumerate(FUNCTION)}
    return {**items, "pain_0_10": pain, "global_0_10": overall}


CAMCOPS = mixed(FUNCTION, [1, 2, 3, 0, 1, 0, 3, 0, 1, 2]) | {"pain_0_10": 0.5, "global_0_10": 2}
published(rapid3(CAMCOPS)["rapid3"], "6.8")
ILL = form(14, 3.5, 6)
RATINGS = {"pain_0_10": 2.5, "global_0_10": 4}

RAPID3 = Golden(
    "rapid3",
    "Function: sum of 10 items 0 to 3 / 3, at one decimal; plus pain and global, 0 to 10 in halves; 0 to 30, higher is "
    "worse; near remission to 3, low to 6, moderate to 12, high above (mdhaq.org; CamCOPS 56a303e). All are needed.",
    "tools/golden/disability.py, decimals",
    [
        vector("lowest", form(0, 0, 0), rapid3(form(0, 0, 0)), status="final"),
        vector("highest", form(30, 10, 10), rapid3(form(30, 10, 10)), status="final"),
        vector("mixed: 13 / 3 = 4.3, + 0.5 + 2", CAMCOPS, rapid3(CAMCOPS), status="final",
               source="CamCOPS rapid3_tests.py: 4.3, 6.8"),
        *each_moved(form(0, 0, 0), 1, rapid3),
        *each_level(FUNCTION, range(4), rapid3, RATINGS),
        *(
            vector(f"{item} {answer}", but(form(9, 1, 1), {item: answer}), rapid3(but(form(9, 1, 1), {item: answer})))
            for item in ("pain_0_10", "global_0_10")
            for answer in (0.5, 7.5, 9.5, 10)
        ),
        *(
            vector(f"function {function} / 3, {pain}, {overall}", form(function, pain, overall),
                   rapid3(form(function, pain, overall)))
            for function, pain, overall in (
                (9, 0, 0), (0, 1.5, 1.5), (2, 1, 1.5), (1, 3, 0), (16, 0.5, 0), (18, 0, 0), (0, 6, 0), (17, 0, 0.5),
                (19, 0, 0), (2, 5.5, 0), (30, 2, 0), (0, 2, 10), (29, 2, 0.5), (30, 2, 0.5), (1, 10, 2),
            )
        ),
        vector("fn_a missing", without(ILL, "fn_a"), refused=["fn_a"]),
        vector("fn_j missing whatever is allowed", without(ILL, "fn_j"), refused=["fn_j"], allow_unverified=True),
        *(
            vector(f"{item} missing: function alone", without(ILL, item),
                   {"function_0_10": rapid3(ILL)["function_0_10"], "rapid3": None, "severity": None}, status="final")
            for item in ("pain_0_10", "global_0_10")
        ),
        *out_of_range(ILL, "pain_0_10", 10.5, 3.2),
        *out_of_range(ILL, "global_0_10", -0.5, 0.25),
        *out_of_range(ILL, "fn_c", 4),
    ],
)  # fmt: skip

GOLDEN = [HAQ_DI, RAPID3]
