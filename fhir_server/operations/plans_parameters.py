"""The parameters that $apply and $replan share, from the call to dates and references."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from fhir_server.errors import BusinessRule
from fhir_server.operations.request import OperationRequest
from fhir_server.pathways.apply import parameter

_TARGETS = {
    "subject": ("Patient",),
    "encounter": ("Encounter",),
    "practitioner": ("Practitioner", "PractitionerRole"),
    "organization": ("Organization",),
    "referral": ("ServiceRequest",),
}

LATERALITIES = ("left", "right", "bilateral")
"""CodeSystem msk-laterality."""


def anchors_given(call: OperationRequest) -> dict[str, date | None]:
    """The day of each event given; None where it was given without one."""
    days: dict[str, date | None] = {}
    for anchor in call.many("anchor"):
        event = str(anchor["event"][0])
        if event in days:
            raise BusinessRule(f"{event} is given twice.", code="value", expression=parameter(event))
        days[event] = _day(event, anchor["date"][0]) if "date" in anchor else None
    return days


def _day(event: str, value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise BusinessRule(
            f"{event} must be a whole date (YYYY-MM-DD) to count from, not {str(value)!r}.",
            code="value",
            expression=parameter(event),
        ) from error


def reference(call: OperationRequest, name: str) -> str | None:
    """The parameter as `Type/id`, of a type it may have; an absolute reference to this server is its own."""
    value = call.one(name)
    if value is None:
        return None
    local = str(value).removeprefix(f"{call.request.base_url}/")
    resource_type, _, logical_id = local.partition("/")
    if resource_type not in _TARGETS[name] or not logical_id or "/" in logical_id:
        raise BusinessRule(
            f"{name} must be a reference {' or '.join(f'{target}/[id]' for target in _TARGETS[name])}, not {value!r}.",
            code="value",
            expression=expression(name),
        )
    return local


def expression(name: str) -> str:
    return f"Parameters.parameter.where(name='{name}').value"


def as_of_given(call: OperationRequest) -> date:
    """The parameter `asOf`; today when it is left out."""
    given = call.one("asOf")
    if given is None:
        return call.server.clock.today()
    try:
        return date.fromisoformat(str(given))
    except ValueError as error:
        raise BusinessRule(
            f"asOf must be a whole date (YYYY-MM-DD), not {str(given)!r}.", code="value", expression=expression("asOf")
        ) from error


def side_given(call: OperationRequest) -> str | None:
    return code_given(call, "laterality", LATERALITIES)


def code_given(call: OperationRequest, name: str, allowed: Sequence[str]) -> str | None:
    """The parameter, one of the codes `allowed`. Raises BusinessRule (422) for another."""
    given = call.one(name)
    if given is not None and given not in allowed:
        raise BusinessRule(
            f"{name} must be one of {', '.join(allowed)}, not {given!r}.",
            code="code-invalid",
            expression=expression(name),
        )
    return None if given is None else str(given)
