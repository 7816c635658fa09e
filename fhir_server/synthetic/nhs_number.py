"""NHS numbers from the range reserved for tests (999...), with valid check digits."""

from __future__ import annotations

from fhir_server.model.nhs_number import check_digit

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
