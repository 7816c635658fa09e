"""Decimals as FHIRPath has them: exact, 28 digits and more kept, never a float (http://hl7.org/fhirpath/N1/#decimal)."""

from __future__ import annotations

import decimal
from decimal import ROUND_HALF_UP, Context, Decimal

CONTEXT = Context(
    prec=34,
    Emax=6144,
    Emin=-6143,
    rounding=ROUND_HALF_UP,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
"""Of every computation. What overflows, or has no result, is empty (N1 math)."""
MAX_INTEGER = 2**31 - 1
MIN_INTEGER = -(2**31)

Number = int | Decimal


def is_number(value: object) -> bool:
    """Of System: neither a boolean nor a float."""
    return type(value) is int or type(value) is Decimal


def integer_or_none(value: int) -> int | None:
    """Integers have 32 bits; beyond them a result is empty."""
    return value if MIN_INTEGER <= value <= MAX_INTEGER else None


def as_decimal(value: Number) -> Decimal:
    return value if type(value) is Decimal else Decimal(value)


def decimals(value: Number) -> int:
    """Digits behind the decimal point, as written."""
    return max(0, -int(value.as_tuple().exponent)) if type(value) is Decimal else 0


def plain(value: Decimal) -> str:
    """Without an exponent."""
    return f"{value:f}"


def rounded(value: Number, places: int) -> Decimal:
    """To so many decimals; a number with too many digits for that stays as it is."""
    number = as_decimal(value)
    if number.adjusted() + places >= CONTEXT.prec:
        return number
    return number.quantize(Decimal(1).scaleb(-places), context=CONTEXT)
