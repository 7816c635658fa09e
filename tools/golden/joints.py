"""Vectors of the joint count indices of rheumatoid arthritis: DAS28, CDAI, SDAI."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any

from tools.golden.coverage import out_of_range, published, without
from tools.golden.vectors import Expected, Golden, but, each_moved, vector

DIGITS = 40
"""Of the square roots and logarithms."""


def quantity(value: float, unit: str | None = None) -> dict[str, Any]:
    return {"value": value} if unit is None else {"value": value, "unit": unit}


def number(answer: Any) -> Decimal:
    return Decimal(str(answer["value"] if isinstance(answer, dict) else answer))


def joints(answers: dict[str, Any]) -> Decimal:
    return (
        Decimal("0.56") * number(answers["tjc28"]).sqrt()
        + Decimal("0.28") * number(answers["sjc28"]).sqrt()
        + Decimal("0.014") * number(answers["patient_global_mm"])
    )


def das28_esr(answers: dict[str, Any]) -> Expected:
    with localcontext() as context:
        context.prec = DIGITS
        score = joints(answers) + Decimal("0.70") * number(answers["esr_mm_h"]).ln()
    state = "remission" if score < Decimal("2.6") else "low" if score <= Decimal("3.2") else "moderate"
    return {"das28_esr": score, "activity": "high" if score > Decimal("5.1") else state}


def das28_crp(answers: dict[str, Any]) -> Expected:
    with localcontext() as context:
        context.prec = DIGITS
        score = joints(answers) + Decimal("0.36") * (number(answers["crp_mg_l"]) + 1).ln() + Decimal("0.96")
    return {"das28_crp": score}


def esr(tender: int, swollen: int, rate: float, overall: int) -> dict[str, Any]:
    return {"tjc28": tender, "sjc28": swollen, "esr_mm_h": quantity(rate, "mm/h"), "patient_global_mm": overall}


def crp(tender: int, swollen: int, protein: float, overall: int) -> dict[str, Any]:
    return {"tjc28": tender, "sjc28": swollen, "crp_mg_l": quantity(protein, "mg/L"), "patient_global_mm": overall}


for made, figure in (
    (das28_esr(esr(4, 5, 7, 50))["das28_esr"], "3.81"), (das28_esr(esr(5, 6, 8, 51))["das28_esr"], "4.11"),
    (das28_esr(esr(5, 3, 30, 50))["das28_esr"], "4.8"), (das28_crp(crp(4, 5, 7, 50))["das28_crp"], "4.15"),
    (das28_esr(esr(10, 8, 30, 50))["das28_esr"], "5.6437"), (das28_crp(crp(5, 6, 8, 51))["das28_crp"], "4.40"),
    (das28_crp(crp(5, 3, 10, 50))["das28_crp"], "4.3"),
):  # fmt: skip
    published(made, figure)

RHEUMTOOLS = "fragla/rheumtools test-das.R: "
CALCULATORS = "clinical_calculators, unit tests of rheumatology scores: "
NIJMEGEN = "reuma-nijmegen das-score and fragla/rheumtools e5d3fc3"
RATE, PROTEIN = esr(9, 4, 20, 40), crp(9, 4, 10, 40)

DAS28_ESR = Golden(
    "das28-esr",
    ".56 sqrt(tender) + .28 sqrt(swollen) + .70 ln(ESR mm/h) + .014 global mm; below 2.6 remission, to 3.2 low, to 5.1 "
    f"moderate, above high ({NIJMEGEN}). ESR 0 has no logarithm: no score. All are needed.",
    f"tools/golden/joints.py, decimals of {DIGITS} digits",
    [
        vector("lowest: no joint, ESR 1, global 0", esr(0, 0, 1, 0), {"das28_esr": 0, "activity": "remission"},
               status="final"),
        vector("high: all joints, ESR 140, global 100", esr(28, 28, 140, 100), das28_esr(esr(28, 28, 140, 100)),
               status="final"),
        vector("mixed", RATE, das28_esr(RATE), status="final"),
        *(
            vector(f"tender {t}, swollen {s}, ESR {r}, global {g}", esr(t, s, r, g), das28_esr(esr(t, s, r, g)),
                   source=source)
            for t, s, r, g, source in (
                (4, 5, 7, 50, RHEUMTOOLS + "3.81"), (5, 6, 8, 51, RHEUMTOOLS + "4.11"),
                (5, 3, 30, 50, "a calculator's unit test, worked example: about 4.8"),
                (10, 8, 30, 50, CALCULATORS + "5.6437, high"),
            )
        ),
        *each_moved(RATE, 1, das28_esr, ["tjc28", "sjc28", "patient_global_mm"]),
        vector("only ESR moved, 20 to 21", esr(9, 4, 21, 40), das28_esr(esr(9, 4, 21, 40))),
        *(
            vector(name, esr(t, s, r, g), das28_esr(esr(t, s, r, g)))
            for name, t, s, r, g in (
                ("just below 2.6", 4, 4, 1, 65), ("just above 2.6", 4, 4, 1, 66), ("just below 3.2", 4, 4, 2, 73),
                ("just above 3.2", 4, 4, 2, 74), ("just below 5.1", 16, 4, 20, 14), ("just above 5.1", 16, 4, 20, 15),
            )
        ),
        vector("ESR below 1 lowers the score", esr(4, 1, 0.5, 30), das28_esr(esr(4, 1, 0.5, 30))),
        vector("ESR 0: no score", esr(4, 1, 0, 30), refused=[]),
        *(vector(f"{item} missing", without(RATE, item), refused=[item]) for item in RATE),
        vector("ESR without unit", but(RATE, {"esr_mm_h": quantity(20)}), refused=["esr_mm_h"]),
        vector("ESR in mg/L", but(RATE, {"esr_mm_h": quantity(20, "mg/L")}), refused=["esr_mm_h"]),
        *out_of_range(RATE, "tjc28", 29, -1),
        *out_of_range(RATE, "sjc28", 29),
        *out_of_range(RATE, "patient_global_mm", 101),
    ],
)  # fmt: skip

DAS28_CRP = Golden(
    "das28-crp",
    ".56 sqrt(tender) + .28 sqrt(swollen) + .36 ln(CRP mg/L + 1) + .014 global mm + .96, at least .96 "
    f"({NIJMEGEN}). All are needed; CRP needs a unit.",
    f"tools/golden/joints.py, decimals of {DIGITS} digits",
    [
        vector("lowest: no joint, CRP 0, global 0", crp(0, 0, 0, 0), {"das28_crp": Decimal("0.96")}, status="final"),
        vector("high: all joints, CRP 200, global 100", crp(28, 28, 200, 100), das28_crp(crp(28, 28, 200, 100)),
               status="final"),
        vector("mixed", PROTEIN, das28_crp(PROTEIN), status="final"),
        *(
            vector(f"tender {t}, swollen {s}, CRP {c}, global {g}", crp(t, s, c, g), das28_crp(crp(t, s, c, g)),
                   source=source)
            for t, s, c, g, source in (
                (4, 5, 7, 50, RHEUMTOOLS + "4.15"), (5, 6, 8, 51, RHEUMTOOLS + "4.40"),
                (5, 3, 10, 50, "a calculator's unit test, worked example: about 4.3"),
            )
        ),
        *each_moved(PROTEIN, 1, das28_crp, ["tjc28", "sjc28", "patient_global_mm"]),
        vector("only CRP moved, 10 to 11", crp(9, 4, 11, 40), das28_crp(crp(9, 4, 11, 40))),
        vector("CRP 1 mg/dL is 10 mg/L", but(PROTEIN, {"crp_mg_l": quantity(1, "mg/dL")}), das28_crp(PROTEIN)),
        vector("CRP 0.35 mg/dL is 3.5 mg/L", but(PROTEIN, {"crp_mg_l": quantity(0.35, "mg/dL")}),
               das28_crp(crp(9, 4, 3.5, 40))),
        *(vector(f"{item} missing", without(PROTEIN, item), refused=[item]) for item in PROTEIN),
        vector("CRP without unit", but(PROTEIN, {"crp_mg_l": quantity(10)}), refused=["crp_mg_l"]),
        vector("CRP in mmol/L", but(PROTEIN, {"crp_mg_l": quantity(10, "mmol/L")}), refused=["crp_mg_l"]),
        vector("CRP below 0", but(PROTEIN, {"crp_mg_l": quantity(-1, "mg/L")}), refused=["crp_mg_l"]),
        *out_of_range(PROTEIN, "tjc28", 29),
        *out_of_range(PROTEIN, "sjc28", 29),
        *out_of_range(PROTEIN, "patient_global_mm", 101, -1),
    ],
)  # fmt: skip


def index(name: str, edges: Sequence[str], answers: dict[str, Any]) -> Expected:
    """The sum, and the first state whose edge it does not pass."""
    total = sum(map(number, answers.values()), Decimal(0))
    states = zip(edges, ("remission", "low", "moderate"), strict=True)
    return {name: total, "activity": next((state for edge, state in states if total <= Decimal(edge)), "high")}


def cdai(answers: dict[str, Any]) -> Expected:
    return index("cdai", ("2.8", "10", "22"), answers)


def sdai(answers: dict[str, Any]) -> Expected:
    return index("sdai", ("3.3", "11", "26"), answers)


def counted(
    tender: int, swollen: int, patient: float, physician: float, protein: float | None = None
) -> dict[str, Any]:
    answers = {"tjc28": tender, "sjc28": swollen, "patient_global_0_10": patient, "physician_global_0_10": physician}
    return answers if protein is None else {**answers, "crp_mg_dl": quantity(protein, "mg/dL")}


ACTIVE, ACTIVE_CRP = counted(5, 3, 4.5, 3.5), counted(5, 3, 4.5, 3.5, 1.2)
GLOBALS = ("patient_global_0_10", "physician_global_0_10")

CDAI = Golden(
    "cdai",
    "Tender + swollen of 28 + patient + physician global 0 to 10, 0 to 76, higher is worse; remission to 2.8, low to "
    "10, moderate to 22, high above (fragla/rheumtools e5d3fc3, PMC2678269). All are needed.",
    "tools/golden/joints.py, decimals",
    [
        vector("lowest", counted(0, 0, 0, 0), cdai(counted(0, 0, 0, 0)), status="final"),
        vector("highest: 76", counted(28, 28, 10, 10), cdai(counted(28, 28, 10, 10)), status="final"),
        vector("mixed: 16", ACTIVE, cdai(ACTIVE), status="final"),
        vector("20", counted(4, 5, 5, 6), cdai(counted(4, 5, 5, 6)), source="fragla/rheumtools test-cdai.R: 20"),
        vector("27", counted(10, 8, 5, 4), {"cdai": 27, "activity": "high"}, source=CALCULATORS + "27, high"),
        *each_moved(ACTIVE, 1, cdai),
        *(
            vector(f"edge {cdai(counted(*given))['cdai']}", counted(*given), cdai(counted(*given)))
            for given in (
                (1, 0, 0.9, 0.9), (1, 0, 1.1, 0.8), (2, 2, 3.3, 2.7), (2, 2, 3.3, 2.8), (10, 10, 0.7, 1.3),
                (10, 10, 0.8, 1.3),
            )
        ),
        *(vector(f"{item} missing", without(ACTIVE, item), refused=[item]) for item in ACTIVE),
        *out_of_range(ACTIVE, "tjc28", 29, -1),
        *out_of_range(ACTIVE, "sjc28", 29),
        *(made for item in GLOBALS for made in out_of_range(ACTIVE, item, 10.1, 2.85)),
    ],
)  # fmt: skip

SDAI = Golden(
    "sdai",
    "Tender + swollen of 28 + patient + physician global 0 to 10 + CRP mg/dL, higher is worse; remission to 3.3, low "
    "to 11, moderate to 26, high above (fragla/rheumtools e5d3fc3, PMC2678269). All are needed; CRP needs a unit.",
    "tools/golden/joints.py, decimals",
    [
        vector("lowest", counted(0, 0, 0, 0, 0), sdai(counted(0, 0, 0, 0, 0)), status="final"),
        vector("high: 76 + 10", counted(28, 28, 10, 10, 10), sdai(counted(28, 28, 10, 10, 10)), status="final"),
        vector("mixed: 17.2", ACTIVE_CRP, sdai(ACTIVE_CRP), status="final"),
        vector("27", counted(4, 5, 5, 6, 7), sdai(counted(4, 5, 5, 6, 7)), source="fragla/rheumtools test-sdai.R: 27"),
        vector("32", counted(5, 6, 6, 7, 8), sdai(counted(5, 6, 6, 7, 8)), source="fragla/rheumtools test-sdai.R: 32"),
        vector("28.2", counted(10, 8, 5, 4, 1.2), {"sdai": Decimal("28.2"), "activity": "high"},
               source=CALCULATORS + "28.2, high"),
        *each_moved(ACTIVE_CRP, 1, sdai, list(ACTIVE)),
        vector("only CRP moved, 1.2 to 2.2", counted(5, 3, 4.5, 3.5, 2.2), sdai(counted(5, 3, 4.5, 3.5, 2.2))),
        vector("CRP 12 mg/L is 1.2 mg/dL", but(ACTIVE_CRP, {"crp_mg_dl": quantity(12, "mg/L")}), sdai(ACTIVE_CRP)),
        *(
            vector(f"edge {sdai(counted(*given))['sdai']}", counted(*given), sdai(counted(*given)))
            for given in (
                (1, 0, 1.1, 0.9, 0.3), (1, 0, 1.1, 0.9, 0.31), (1, 0, 1.1, 1, 0.3), (2, 2, 3.3, 3.3, 0.4),
                (2, 2, 3.3, 3.3, 0.41), (10, 10, 2.1, 3.2, 0.7), (10, 10, 2.1, 3.2, 0.71),
            )
        ),
        *(vector(f"{item} missing", without(ACTIVE_CRP, item), refused=[item]) for item in ACTIVE_CRP),
        vector("CRP without unit", but(ACTIVE_CRP, {"crp_mg_dl": quantity(1.2)}), refused=["crp_mg_dl"]),
        vector("CRP in mm/h", but(ACTIVE_CRP, {"crp_mg_dl": quantity(1.2, "mm/h")}), refused=["crp_mg_dl"]),
        *out_of_range(ACTIVE_CRP, "sjc28", 29),
        *(made for item in GLOBALS for made in out_of_range(ACTIVE_CRP, item, 10.1, 2.85)),
    ],
)  # fmt: skip

GOLDEN = [DAS28_ESR, DAS28_CRP, CDAI, SDAI]
