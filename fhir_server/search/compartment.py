"""Which resources are in the compartment of another (R4 compartmentdefinition.html).

A Patient's compartment has index rows of its own (search/patient_compartment.py); any other is answered by the
references that R4's definition names.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server import spec
from fhir_server.model.identity import rid
from fhir_server.search.matching import any_of
from fhir_server.search.patient_compartment import patient_parameters
from fhir_server.search.registry import Registry
from fhir_server.storage.query import IdIn, InCompartment, NumberIn, Predicate

COMPARTMENTS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")
ITSELF = "{def}"
"""Stands in R4's definitions for a resource's being in its own compartment."""


def compartment_types(name: str) -> tuple[str, ...]:
    """The types of which the compartment `name` may have resources."""
    return tuple(sorted(one for one in spec.RESOURCE_TYPES if _codes(name, one)))


def member_of(registry: Registry, compartment: tuple[str, str], resource_type: str) -> Predicate:
    """True of the resources of `resource_type`, one of `compartment_types`, in the compartment."""
    name, logical_id = compartment
    owner = rid(name, logical_id)
    if name == "Patient" and patient_parameters(resource_type):
        return InCompartment((owner,))
    parts: list[Predicate] = [NumberIn(p, (owner,)) for p in dict.fromkeys(_rows(registry, name, resource_type))]
    if ITSELF in _codes(name, resource_type):
        parts.append(IdIn((owner,)))
    return any_of(parts)


def _codes(name: str, resource_type: str) -> tuple[str, ...]:
    own = patient_parameters(resource_type) if name == "Patient" else ()
    return own or spec.compartment(name).get(resource_type, ())


def _rows(registry: Registry, name: str, resource_type: str) -> Iterator[int]:
    """Row parameters of the references that put a resource into the compartment."""
    for code in _codes(name, resource_type):
        definition = registry.definitions(resource_type).get(code)
        for source in definition.sources if definition else ():
            if source.only in ("", name):
                yield source.p
