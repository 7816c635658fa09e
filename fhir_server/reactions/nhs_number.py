"""An NHS number whose check digit is wrong is refused or warned of, as the setting `nhs_number_check` says.

A mistyped number joins two people's records, or parts one's. NHS Data Dictionary, NHS NUMBER.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.errors import BusinessRule, Issue
from fhir_server.model.nhs_number import SYSTEM, wrong_numbers
from fhir_server.reactions.registry import Write

_NAMED = SYSTEM.encode()


async def check_nhs_number(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) with every wrong number's place; the numbers themselves are not repeated."""
    policy = write.server.settings.nhs_number_check
    if policy == "off" or _NAMED not in (write.version.body or b""):
        return []
    wrong = list(_wrong(write))
    if wrong and policy == "refuse":
        raise BusinessRule(wrong[0].diagnostics, issues=wrong)
    return [Issue(issue.code, issue.diagnostics, issue.expression, "warning") for issue in wrong]


def _wrong(write: Write) -> Iterator[Issue]:
    for index in wrong_numbers(write.resource):
        text = "This is no NHS number: it has ten digits, the last of which is a check digit. Look for a slip."
        yield Issue("value", text, f"{write.version.resource_type}.identifier[{index}].value")
