"""Exact values as decimals: rounded half up, never to the nearest even."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from fhir_server.instruments.definition import Exact

EXACT_DECIMALS = 6
"""Places kept of a value that no decimal can hold (33.818181...); integers and halves stay as they are."""


def as_decimal(value: Exact) -> Decimal:
    """`value` exactly where a decimal of EXACT_DECIMALS places can hold it, else rounded half up to them."""
    if isinstance(value, int):
        return Decimal(value)
    rounded = round_half_up(value, EXACT_DECIMALS).normalize()
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded


def round_half_up(value: Exact, decimals: int) -> Decimal:
    """Round to `decimals` places, halves away from zero: never banker's rounding."""
    shifted = abs(value) * 10**decimals
    whole = (2 * shifted.numerator + shifted.denominator) // (2 * shifted.denominator)
    rounded = Decimal(whole).scaleb(-decimals)
    return (-rounded if value < 0 else rounded).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
