"""The parameters that the moves of a referral share."""

from __future__ import annotations

from fhir_server.errors import BusinessRule
from fhir_server.operations.plans_parameters import expression
from fhir_server.operations.request import OperationRequest

_PERFORMERS = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Organization")
"""Whom R4 lets Provenance.agent.who refer to; a Device makes no decision about a referral."""


def performer_of(call: OperationRequest) -> str | None:
    given = local_references(call, "performer", _PERFORMERS)
    return given[0] if given else None


def local_references(call: OperationRequest, name: str, types: tuple[str, ...]) -> list[str]:
    """Each value as `Type/id`; an absolute reference to this server is its own. Raises BusinessRule (422)."""
    references = []
    for value in call.many(name):
        local = str(value).removeprefix(f"{call.request.base_url}/")
        resource_type, _, logical_id = local.partition("/")
        if resource_type not in types or not logical_id or "/" in logical_id:
            wanted = " or ".join(f"{one}/[id]" for one in types)
            raise BusinessRule(
                f"{name} must be a reference {wanted}, not {value!r}.", code="value", expression=expression(name)
            )
        references.append(local)
    return references
