"""NHS numbers of the test range, and some that look right."""

from __future__ import annotations

import pytest

from fhir_server.model.nhs_number import is_valid


@pytest.mark.parametrize("number", ["9990000018", "9990000026", "9990000034", "9000000009"])
def test_a_right_check_digit(number: str) -> None:
    assert is_valid(number)


@pytest.mark.parametrize("number", ["4857773456", "9990000019", "9000000000"])
def test_a_wrong_check_digit(number: str) -> None:
    assert not is_valid(number)


@pytest.mark.parametrize("prefix", ["999000000", "999000014"])
@pytest.mark.parametrize("last", range(10))
def test_nine_digits_without_a_tenth(prefix: str, last: int) -> None:
    assert not is_valid(f"{prefix}{last}")


@pytest.mark.parametrize(
    "number", ["", "999000001", "99900000188", "999 000 0018", "999000001X", "٩٩٩٠٠٠٠٠١٨", "999000001²"]
)
def test_what_is_not_ten_digits(number: str) -> None:
    assert not is_valid(number)
