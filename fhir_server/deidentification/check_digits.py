"""Check digits of code systems that are too large to be listed."""

from __future__ import annotations

_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_CONCEPT_PARTITIONS = ("00", "10")


def is_concept_id(code: str) -> bool:
    """Whether digits are the identifier of a SNOMED CT concept.

    SNOMED CT Release File Specifications, 6 "SCTID": the partition identifier, then Verhoeff's check digit.
    """
    check = 0
    for place, digit in enumerate(reversed(code)):
        permuted = int(digit)
        for _ in range(place % 8):
            permuted = _PERMUTATION[permuted]
        check = _dihedral(check, permuted)
    return check == 0 and code[-3:-1] in _CONCEPT_PARTITIONS


def _dihedral(a: int, b: int) -> int:
    """The product of two elements of the dihedral group of order ten."""
    if a < 5:
        return (a + b) % 5 + (5 if b >= 5 else 0)
    return (a - b) % 5 + (5 if b < 5 else 0)


def is_loinc(code: str) -> bool:
    """Whether the digit behind the dash is the check digit of those before it (LOINC Users' Guide, "mod 10").

    Answers and parts (LA6568-5) have letters and another rule: they pass.
    """
    number, _, check = code.partition("-")
    if not number.isdecimal():
        return True
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(number)))
    return (sum(n // 10 + n % 10 for n in doubled) + int(check)) % 10 == 0
