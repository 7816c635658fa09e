"""NHS numbers and their check digit (NHS Data Dictionary, NHS NUMBER).

Nine digits are weighted 10 to 2; the tenth is 11 minus the sum modulo 11, where 11 counts as 0 and 10 means that the
number is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

CARRIERS = frozenset({"Patient", "Person", "RelatedPerson"})
"""Types whose identifiers are checked: those that are of a person."""
SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"

_WEIGHTS = range(10, 1, -1)


def check_digit(nine_digits: str) -> int | None:
    """The tenth digit, or None when the nine make no NHS number."""
    weighted = sum(int(digit) * weight for digit, weight in zip(nine_digits, _WEIGHTS, strict=True))
    check = (11 - weighted % 11) % 11
    return None if check == 10 else check


def is_valid(number: str) -> bool:
    """Whether `number` is ten ASCII digits of which the last is the check digit of the nine before it."""
    if len(number) != 10 or not (number.isascii() and number.isdecimal()):
        return False
    return check_digit(number[:9]) == int(number[9])


def wrong_numbers(resource: dict[str, Any]) -> Iterator[int]:
    """Places in `identifier` of NHS numbers that are none.

    One without a value is a number that is not known, which an extension may say.
    """
    for index, identifier in enumerate(resource.get("identifier", ())):
        if identifier.get("system") == SYSTEM and "value" in identifier and not is_valid(identifier["value"]):
            yield index
