"""NHS numbers: the check digit (NHS Data Dictionary, NHS NUMBER) and the test range."""

import pytest

from fhir_server.model.nhs_number import check_digit
from fhir_server.synthetic.nhs_number import DISTINCT, nhs_number


@pytest.mark.parametrize(
    ("digits", "check"),
    [
        ("943476591", 9),  # 943 476 5919, the example number of NHS documentation
        ("401023213", 7),  # 401 023 2137, the example number of the NHS Data Dictionary
    ],
)
def test_check_digit_of_published_numbers(digits, check):
    assert check_digit(digits) == check


def test_a_check_of_ten_makes_no_number():
    # 9*10 + 9*9 + 9*8 = 243, and 11 - 243 % 11 = 10
    assert check_digit("999000000") is None


def test_numbers_are_distinct_and_in_the_test_range():
    numbers = {nhs_number(index) for index in range(0, DISTINCT, 37)}
    assert len(numbers) == len(range(0, DISTINCT, 37))
    assert all(number.startswith("999") and len(number) == 10 for number in numbers)
