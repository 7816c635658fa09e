"""A few UCUM units in base units, from the UCUM specification (ucum.org), for quantities (reading search-4)."""

from __future__ import annotations

from fractions import Fraction

UCUM = "http://unitsofmeasure.org"
BASE: dict[str, tuple[Fraction, str]] = {
    "g": (Fraction(1), "g"),
    "kg": (Fraction(1000), "g"),
    "mg": (Fraction(1, 1000), "g"),
    "m": (Fraction(1), "m"),
    "cm": (Fraction(1, 100), "m"),
    "mm": (Fraction(1, 1000), "m"),
    "s": (Fraction(1), "s"),
    "min": (Fraction(60), "s"),
    "h": (Fraction(3600), "s"),
    "d": (Fraction(86400), "s"),
    "a": (Fraction(31_557_600), "s"),
    "1": (Fraction(1), "1"),
    "%": (Fraction(1, 100), "1"),
}
"""code -> (factor, base unit)."""
