"""The codes that synthetic records use, most frequent first, and how to draw from them by Zipf's law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
CANONICAL_BASE = "https://fhir.example.org/msk"
LOCAL_TEST = f"{CANONICAL_BASE}/CodeSystem/local-test"
LOCAL_TESTS = 240
"""Rare tests with a laboratory's own codes: the long tail of the distribution."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A thing measured; results lie around low..high, the reference range."""

    system: str
    code: str
    display: str
    unit: str
    low: float
    high: float
    digits: int
    category: str = "laboratory"


@dataclass(frozen=True, slots=True)
class Concept:
    code: str
    display: str


class Zipf(Generic[T]):
    """Draws the n-th of its values with a probability proportional to 1/n."""

    def __init__(self, values: Sequence[T]) -> None:
        self.values = values
        self._cumulative = list(accumulate(1 / rank for rank in range(1, len(values) + 1)))

    def draw(self, random: Random) -> T:
        return random.choices(self.values, cum_weights=self._cumulative)[0]


_LABORATORY = [
    Measurement(LOINC, code, display, unit, low, high, digits)
    for code, display, unit, low, high, digits in (
        ("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/L", 0, 5, 1),
        ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/L", 115, 165, 0),
        ("30341-2", "Erythrocyte sedimentation rate", "mm/h", 1, 20, 0),
        ("14682-9", "Creatinine [Moles/volume] in Serum or Plasma", "umol/L", 45, 104, 0),
        ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*9/L", 4, 11, 1),
        ("777-3", "Platelets [#/volume] in Blood by Automated count", "10*9/L", 150, 400, 0),
        ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 133, 146, 0),
        ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 3.5, 5.3, 1),
        ("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 8, 40, 0),
        ("1751-7", "Albumin [Mass/volume] in Serum or Plasma", "g/L", 35, 50, 0),
        ("14933-6", "Urate [Moles/volume] in Serum or Plasma", "umol/L", 140, 430, 0),
        ("6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 30, 130, 0),
        ("2000-8", "Calcium [Moles/volume] in Serum or Plasma", "mmol/L", 2.2, 2.6, 2),
        ("59261-8", "Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol", "mmol/mol", 20, 42, 0),
        ("11572-5", "Rheumatoid factor [Units/volume] in Serum or Plasma", "[IU]/mL", 0, 14, 0),
        ("33935-8", "Cyclic citrullinated peptide IgG Ab [Units/volume] in Serum", "U/mL", 0, 7, 1),
        ("2276-4", "Ferritin [Mass/volume] in Serum or Plasma", "ug/L", 15, 300, 0),
        ("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", 0.3, 4.2, 2),
        ("68438-1", "25-Hydroxyvitamin D3 [Moles/volume] in Serum or Plasma", "nmol/L", 50, 175, 0),
        ("14749-6", "Glucose [Moles/volume] in Serum or Plasma", "mmol/L", 4, 7.8, 1),
    )
]
_VITAL_SIGNS = [
    Measurement(LOINC, code, display, unit, low, high, digits, "vital-signs")
    for code, display, unit, low, high, digits in (
        ("29463-7", "Body weight", "kg", 50, 110, 1),
        ("8867-4", "Heart rate", "/min", 55, 95, 0),
        ("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", 18.5, 34, 1),
        ("8302-2", "Body height", "cm", 150, 190, 0),
        ("8310-5", "Body temperature", "Cel", 36, 37.6, 1),
        ("9279-1", "Respiratory rate", "/min", 12, 20, 0),
    )
]
_LOCAL = [
    Measurement(LOCAL_TEST, f"LT{number:03d}", f"Local laboratory test {number}", "mmol/L", 1, 1 + number / 10, 2)
    for number in range(1, LOCAL_TESTS + 1)
]

LABORATORY = Zipf([*_LABORATORY, *_LOCAL])
VITAL_SIGNS = Zipf(_VITAL_SIGNS)

CONDITIONS = Zipf(
    [
        Concept("239873007", "Osteoarthritis of knee"),
        Concept("279039007", "Low back pain"),
        Concept("45326000", "Shoulder pain"),
        Concept("239872002", "Osteoarthritis of hip"),
        Concept("82423001", "Chronic pain"),
        Concept("57406009", "Carpal tunnel syndrome"),
        Concept("69896004", "Rheumatoid arthritis"),
        Concept("90560007", "Gout"),
        Concept("64859006", "Osteoporosis"),
        Concept("35489007", "Depressive disorder"),
        Concept("38341003", "Hypertensive disorder"),
        Concept("44054006", "Diabetes mellitus type 2"),
    ]
)
PROCEDURES = Zipf(
    [
        Concept("91251008", "Physical therapy procedure"),
        Concept("33195004", "Injection of joint"),
        Concept("609588000", "Total knee replacement"),
        Concept("52734007", "Total hip replacement"),
        Concept("47534009", "Carpal tunnel decompression"),
        Concept("80146002", "Excision of appendix"),
    ]
)
BODY_SITES = Zipf(
    [
        Concept("72696002", "Knee region structure"),
        Concept("29836001", "Hip region structure"),
        Concept("16982005", "Shoulder region structure"),
        Concept("122496007", "Lumbar spine structure"),
        Concept("8205005", "Wrist region structure"),
    ]
)
DOCUMENTS = Zipf(
    [
        Concept("823691000000103", "Referral letter"),
        Concept("823681000000100", "Outpatient letter"),
        Concept("823701000000103", "Discharge letter"),
        Concept("422735006", "Summary clinical document"),
    ]
)
