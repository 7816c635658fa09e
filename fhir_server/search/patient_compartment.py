"""Which search parameters put a resource into a Patient's compartment (R4 compartmentdefinition-patient.html).

R4's own table, plus Task by its subject (`Task.for`), minus Group, Person and Schedule: membership, identity
records and calendars concern more than one patient (docs/spec-clarifications.md).
"""

from __future__ import annotations

from functools import cache

from fhir_server import spec

ADDED = {"Task": ("subject",)}
REMOVED = frozenset(("Group", "Person", "Schedule"))


@cache
def patient_parameters(resource_type: str) -> tuple[str, ...]:
    """Codes of the parameters of `resource_type` that refer to the Patients it belongs to."""
    if resource_type in REMOVED:
        return ()
    return (*spec.compartment("Patient").get(resource_type, ()), *ADDED.get(resource_type, ()))
