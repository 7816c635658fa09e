"""Scores that a form calculated itself, by the expressions its Questionnaire carries (docs/instruments.md).

http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

CALCULATED = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression"
GROUP = "g-scores"
"""linkId of the group that holds them."""


def link_id_of(score: str) -> str:
    """Of the item that shows the score of that name."""
    return f"score-{score}"


def calculated_value(answer: dict[str, Any]) -> Any:
    """What the form calculated; None where it did not."""
    return next((value for key, value in answer.items() if key.startswith("value")), None)


def agrees(given: Any, found: Decimal | str | None, decimals: int) -> bool:
    """Whether `given` is `found`, exactly or as it is displayed: rounded to `decimals` either way of a half."""
    if isinstance(found, Decimal):
        number = isinstance(given, int | Decimal) and not isinstance(given, bool)
        return number and abs(given - found) <= Decimal(5).scaleb(-decimals - 1)
    return bool(given == found)
