"""Scores that a form calculated itself, by the expressions its Questionnaire carries (docs/instruments.md).

http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

CALCULATED = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression"
CALCULATED_SCORES = "g-scores"
"""linkId of the group that holds them."""


def link_id_of(score: str) -> str:
    """Of the item that shows the score of that name."""
    return f"score-{score}"


def calculated_otherwise(answers: list[dict[str, Any]], found: Decimal | str | None, decimals: int) -> str | None:
    """What a form calculated other than `found`; None when it agrees or calculated nothing.

    A number agrees as it is and as it is displayed, rounded to `decimals` places.
    """
    given = [value for answer in answers for key, value in answer.items() if key.startswith("value")]
    if all(_agrees(value, found, decimals) for value in given):
        return None
    return ", ".join(str(value) if isinstance(value, str | int | Decimal) else "no number" for value in given)


def _agrees(given: Any, found: Decimal | str | None, decimals: int) -> bool:
    if isinstance(found, Decimal):
        number = isinstance(given, int | Decimal) and not isinstance(given, bool)
        return number and abs(given - found) <= Decimal(5).scaleb(-decimals - 1)
    return bool(given == found)
