"""NHS numbers from the range reserved for tests (999...), with valid check digits.

NHS Data Dictionary, NHS NUMBER: digits weighted 10 to 2, 11 minus the sum modulo 11; 11 counts as 0 and
10 means that the number is not used.
"""

from __future__ import annotations

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
DISTINCT = 500_000
"""Test numbers there are: two payloads per index, of which at least one has a check digit."""
_STRIDE = 314_159
"""Prime to DISTINCT, so that neighbours do not look alike and none comes twice."""


def nhs_number(index: int) -> str:
    """The test number at `index`; they repeat after DISTINCT."""
    payload = (index * _STRIDE) % DISTINCT * 2
    for candidate in (payload, payload + 1):
        digits = f"999{candidate:06d}"
        check = check_digit(digits)
        if check is not None:
            return f"{digits}{check}"
    raise AssertionError("neighbouring payloads never both lack a check digit")


def check_digit(nine_digits: str) -> int | None:
    """The tenth digit, or None when the nine make no NHS number."""
    weighted = sum(int(digit) * weight for digit, weight in zip(nine_digits, range(10, 1, -1), strict=True))
    check = (11 - weighted % 11) % 11
    return None if check == 10 else check
