"""The check digit of an NHS number (NHS Data Dictionary, NHS NUMBER)."""

from __future__ import annotations

SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"

_WEIGHTS = range(10, 1, -1)


def is_valid(number: str) -> bool:
    """Whether `number` is ten ASCII digits of which the last is the check digit of the nine before it."""
    if len(number) != 10 or not (number.isascii() and number.isdecimal()):
        return False
    weighted = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    check = (11 - weighted % 11) % 11
    return check == int(number[9])
