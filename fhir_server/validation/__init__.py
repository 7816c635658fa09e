"""Is a resource structurally valid R4? (R4 json.html, datatypes.html, the StructureDefinitions' own rules)

Profiles, bindings other than required codes, and FHIRPath invariants are not looked at here.
"""

from __future__ import annotations

from typing import Any

from fhir_server.errors import InvalidResource, Issue
from fhir_server.validation.fast import Doubt, check
from fhir_server.validation.walker import all_issues


def validate(resource: dict[str, Any]) -> None:
    """Raises InvalidResource (400) with every issue found."""
    found = issues(resource)
    if found:
        raise InvalidResource(found[0].diagnostics, issues=found)


def issues(resource: Any) -> list[Issue]:
    """Every issue with its expression; empty when the resource is valid."""
    try:
        check(resource)
    except (Doubt, KeyError):
        return all_issues(resource)
    return []
