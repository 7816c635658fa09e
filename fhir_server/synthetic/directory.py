"""Organizations and practitioners that all synthetic records refer to."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from fhir_server.synthetic import names
from fhir_server.synthetic.codes import CANONICAL_BASE
from fhir_server.synthetic.parts import Json, narrative

PRACTITIONERS = 24
ODS_CODE = "https://fhir.nhs.uk/Id/ods-organization-code"
ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"


@dataclass(frozen=True, slots=True)
class Directory:
    """Who refers and who treats."""

    practices: list[Json]
    services: list[Json]
    practitioners: list[Json]

    def resources(self) -> list[Json]:
        return [*self.practices, *self.services, *self.practitioners]


def build_directory(seed: int) -> Directory:
    random = Random(f"directory {seed}")
    return Directory(
        practices=[_organization(seed, f"gp{n}", name) for n, name in enumerate(names.PRACTICES)],
        services=[_organization(seed, f"svc{n}", name) for n, name in enumerate(names.SERVICES)],
        practitioners=[_practitioner(seed, n, random) for n in range(PRACTITIONERS)],
    )


def _organization(seed: int, key: str, name: str) -> Json:
    return {
        "resourceType": "Organization",
        "id": f"s{seed}-{key}",
        "text": narrative(f"{name}, an invented organization."),
        "identifier": [{"system": ODS_CODE, "value": f"X{seed}{key.upper()}"}],
        "active": True,
        "type": [{"coding": [{"system": ORGANIZATION_TYPE, "code": "prov", "display": "Healthcare Provider"}]}],
        "name": name,
    }


def _practitioner(seed: int, number: int, random: Random) -> Json:
    female = random.random() < 0.5
    given = random.choice(names.FEMALE_GIVEN if female else names.MALE_GIVEN)
    family = random.choice(names.FAMILY)
    return {
        "resourceType": "Practitioner",
        "id": f"s{seed}-pr{number}",
        "text": narrative(f"Dr {given} {family}, an invented practitioner."),
        "identifier": [{"system": f"{CANONICAL_BASE}/Id/practitioner", "value": f"S{seed}P{number:04d}"}],
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given], "prefix": ["Dr"]}],
        "gender": "female" if female else "male",
        "qualification": [{"code": {"text": random.choice(names.ROLES)}}],
    }
