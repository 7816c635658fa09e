"""Vectors of the axial spondyloarthritis indices: BASDAI, BASFI, ASDAS."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from tools.golden.coverage import mixed, out_of_range, published, without
from tools.golden.joints import CALCULATORS, DIGITS, number, quantity
from tools.golden.vectors import Expected, Golden, but, each_moved, every, numbered, vector

SIX, TEN = numbered("q", 6), numbered("q", 10)


def basdai(answers: dict[str, Any]) -> Expected:
    stiffness = Fraction(answers["q5"] + answers["q6"], 2)
    return {"score": (sum(answers[item] for item in SIX[:4]) + stiffness) / 5}


EXAMPLES = (
    ([2, 10, 7, 1, 9, 3], "5.2", "CamCOPS basdai_tests.py"), ([1, 2, 3, 4, 5, 10], "3.5", "fragla/rheumtools"),
    ([1, 2, 3, 4, 5, 6], "3.1", "fragla/rheumtools"),
    ([6, 5, 4, 5, 8, 6], "5.4", "clinical_calculators"), ([0, 0, 3, 4, 5, 0], "1.9", "fragla/rheumtools"),
)  # fmt: skip
for given, figure, _ in EXAMPLES:
    published(basdai(mixed(SIX, given))["score"], figure)
STIFF = mixed(SIX, [2, 10, 7, 1, 9, 3])

BASDAI = Golden(
    "basdai",
    "(Q1 + Q2 + Q3 + Q4 + (Q5 + Q6) / 2) / 5, ratings 0 to 10, higher is worse (awell-score c37843e, CamCOPS 56a303e, "
    "rheumtools e5d3fc3). From 4 active. No rule for missing answers was found: all are needed.",
    "tools/golden/spondylitis.py, fractions",
    [
        vector("lowest: 6 x 0", every(SIX, 0), {"score": 0}, status="final"),
        vector("highest: 6 x 10", every(SIX, 10), {"score": 10}, status="final"),
        *(
            vector(f"mixed: {figure}", mixed(SIX, given), basdai(mixed(SIX, given)), status="final",
                   source=f"{where}, unit test")
            for given, figure, where in EXAMPLES
        ),
        vector("3.9, not active", {**every(SIX, 4), "q5": 3}, {"score": Fraction(39, 10)},
               bands={"score": "not-active"}, allow_unverified=True),
        vector("4, active", every(SIX, 4), {"score": 4}, bands={"score": "active"}, allow_unverified=True),
        *each_moved(every(SIX, 5), 1, basdai),
        *(vector(f"{item} missing", without(STIFF, item), refused=[item]) for item in SIX),
        vector("q6 missing whatever is allowed", without(STIFF, "q6"), refused=["q6"], allow_unverified=True),
        *out_of_range(STIFF, "q6", 12, -1),
    ],
)  # fmt: skip


def basfi(answers: dict[str, Any]) -> Expected:
    return {"score": Fraction(sum(answers.values()), 10)}


LIMITED = mixed(TEN, [1, 4, 0, 10, 7, 3, 5, 2, 9, 6])

BASFI = Golden(
    "basfi",
    "Mean of 10 ratings 0 to 10, higher is worse (awell-score c37843e). No rule for missing answers was found: all are "
    "needed.",
    "tools/golden/spondylitis.py, fractions",
    [
        vector("lowest: 10 x 0", every(TEN, 0), {"score": 0}, status="final"),
        vector("highest: 10 x 10", every(TEN, 10), {"score": 10}, status="final"),
        vector("mixed: 47 / 10", LIMITED, basfi(LIMITED), status="final"),
        vector(
            "mixed: 46 / 10",
            mixed(TEN, [1, 10, 2, 10, 0, 4, 5, 7, 6, 1]),
            {"score": Fraction(46, 10)},
            source="awell-score basfi.test.ts, random response: 4.6",
        ),
        vector("mixed: 40 / 10", mixed(TEN, [2, 3, 4, 5, 6, 2, 3, 4, 5, 6]), {"score": 4}, source=CALCULATORS + "4"),
        *each_moved(every(TEN, 5), 1, basfi),
        vector("one missing", without(LIMITED, "q10"), refused=["q10"]),
        vector("q1 missing whatever is allowed", without(LIMITED, "q1"), refused=["q1"], allow_unverified=True),
        *out_of_range(LIMITED, "q3", 11),
    ],
)

RATINGS = (
    "back_pain_0_10", "morning_stiffness_duration_0_10", "patient_global_0_10", "peripheral_pain_swelling_0_10",
)  # fmt: skip
FACTORS = {
    "asdas_crp_coef2dp": ("0.12", "0.06", "0.11", "0.07", "0.58"),
    "asdas_esr_coef2dp": ("0.08", "0.07", "0.11", "0.09", "0.29"),
    "asdas_crp_coef3dp": ("0.121", "0.058", "0.110", "0.073", "0.579"),
    "asdas_esr_coef3dp": ("0.079", "0.069", "0.113", "0.086", "0.293"),
}


def asdas(answers: dict[str, Any]) -> Expected:
    """Each score needs its own laboratory value; a state says how active the CRP score is."""
    scores: dict[str, Decimal | str | None] = {}
    with localcontext() as context:
        context.prec = DIGITS
        for score, (*factors, factor) in FACTORS.items():
            laboratory = None
            if "crp" in score and "crp_mg_l" in answers:
                laboratory = (max(number(answers["crp_mg_l"]), Decimal(2)) + 1).ln()
            if "esr" in score and "esr_mm_h" in answers:
                laboratory = number(answers["esr_mm_h"]).sqrt()
            if laboratory is None:
                scores[score] = None
                continue
            rated = zip(factors, RATINGS, strict=True)
            scores[score] = sum((Decimal(one) * answers[item] for one, item in rated), Decimal(factor) * laboratory)
    for places in ("2dp", "3dp"):
        scores[f"crp_state_coef{places}"] = state(scores[f"asdas_crp_coef{places}"])
    return scores


def state(score: Any) -> str | None:
    if score is None:
        return None
    if score < Decimal("1.3"):
        return "inactive"
    if score < Decimal("2.1"):
        return "low"
    return "high" if score <= Decimal("3.5") else "very-high"


def disease(ratings: tuple[int, int, int, int], crp: float | None = None, esr: float | None = None) -> dict[str, Any]:
    answers: dict[str, Any] = dict(zip(RATINGS, ratings, strict=True))
    if crp is not None:
        answers["crp_mg_l"] = quantity(crp, "mg/L")
    if esr is not None:
        answers["esr_mm_h"] = quantity(esr, "mm/h")
    return answers


NONE, MOST, SOME = disease((0, 0, 0, 0), 0, 0), disease((10, 10, 10, 10), 200, 140), disease((6, 4, 7, 2), 12, 25)
EDGES = (
    ((0, 0, 0, 0), 8.4), ((0, 0, 0, 0), 8.45), ((0, 0, 0, 0), 8.5), ((0, 0, 0, 0), 36.3), ((0, 0, 0, 0), 36.5),
    ((0, 0, 0, 0), 36.7), ((5, 5, 5, 5), 17.5), ((5, 5, 5, 5), 17.6), ((5, 5, 5, 5), 17.8),
)  # fmt: skip

EXAMPLE = disease((6, 4, 5, 3), 10, 30)
published(asdas(EXAMPLE)["asdas_crp_coef2dp"], "3.1108")
published(asdas(EXAMPLE)["asdas_esr_coef2dp"], "3.1684")

ASDAS = Golden(
    "asdas",
    "Back pain, duration of stiffness, patient global, peripheral pain and ln(CRP + 1) or sqrt(ESR), weighted: .12 .06 "
    ".11 .07 .58 and .08 .07 .11 .09 .29 (CamCOPS 56a303e); .121 .058 .110 .073 .579 and .079 .069 .113 .086 .293 "
    "(ard.bmj.com table 182062). CRP below 2 mg/L counts as 2. Below 1.3 inactive, below 2.1 low, to 3.5 high, above "
    "very high, of the exact score.",
    f"tools/golden/spondylitis.py, decimals of {DIGITS} digits",
    [
        vector("lowest: CRP 0 counts as 2, ESR 0", NONE, asdas(NONE), status="final"),
        vector("high: ratings 10, CRP 200, ESR 140", MOST, asdas(MOST), status="final"),
        vector("mixed", SOME, asdas(SOME), status="final"),
        vector("worked example", EXAMPLE, asdas(EXAMPLE), source=CALCULATORS + "3.1108, 3.1684 (two decimals), high"),
        *each_moved(SOME, 1, asdas, RATINGS),
        *each_moved(disease((0, 0, 0, 0), 3, 4), 1, asdas, RATINGS),
        vector("only CRP moved, 12 to 13", disease((6, 4, 7, 2), 13, 25), asdas(disease((6, 4, 7, 2), 13, 25))),
        vector("only ESR moved, 25 to 26", disease((6, 4, 7, 2), 12, 26), asdas(disease((6, 4, 7, 2), 12, 26))),
        *(
            vector(f"CRP {protein}", disease((3, 2, 3, 1), protein), asdas(disease((3, 2, 3, 1), protein)),
                   source="CamCOPS asdas.py: max(crp, 2)")
            for protein in (0, 1.9, 2, 2.1)
        ),
        *(
            vector(f"ratings {ratings[0]}, {ratings[1]}, CRP {protein}: "
                   f"{asdas(disease(ratings, protein))['asdas_crp_coef2dp']:.6f}, "
                   f"{asdas(disease(ratings, protein))['asdas_crp_coef3dp']:.6f}",
                   disease(ratings, protein), asdas(disease(ratings, protein)))
            for ratings, protein in EDGES
        ),
        vector("CRP 1.2 mg/dL is 12 mg/L", but(SOME, {"crp_mg_l": quantity(1.2, "mg/dL")}), asdas(SOME)),
        vector("CRP 0.1 mg/dL counts as 2 mg/L", but(NONE, {"crp_mg_l": quantity(0.1, "mg/dL")}), asdas(NONE)),
        vector("no ESR: CRP scores alone", without(SOME, "esr_mm_h"), asdas(without(SOME, "esr_mm_h")), status="final"),
        vector("no CRP: ESR scores alone", without(SOME, "crp_mg_l"), asdas(without(SOME, "crp_mg_l")), status="final"),
        vector("neither CRP nor ESR", without(SOME, "crp_mg_l", "esr_mm_h"), refused=["crp_mg_l", "esr_mm_h"]),
        *(vector(f"{item} missing", without(SOME, item), refused=[item]) for item in RATINGS),
        vector("CRP without unit", but(SOME, {"crp_mg_l": quantity(12)}), refused=["crp_mg_l"]),
        vector("ESR without unit", but(SOME, {"esr_mm_h": quantity(25)}), refused=["esr_mm_h"]),
        vector("CRP in mm/h", but(SOME, {"crp_mg_l": quantity(12, "mm/h")}), refused=["crp_mg_l"]),
        *out_of_range(SOME, "back_pain_0_10", 11),
    ],
)  # fmt: skip

GOLDEN = [BASDAI, BASFI, ASDAS]
