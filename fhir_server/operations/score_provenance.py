"""Why a stored score has a new version although its response has none: the rules are others now.

R4 provenance.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from fhir_server.interactions.logical_id import new_id
from fhir_server.model.instant import format_instant

Json = dict[str, Any]

_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
UPDATE = {"coding": [{"system": _OPERATION, "code": "UPDATE", "display": "revise"}]}


@dataclass(frozen=True, slots=True)
class Rescored:
    """An Observation as it was stored and as it is now."""

    before: Json
    after: Json


def algorithm_of(observation: Json) -> str:
    """Name, version and content hash of the rules: what `Observation.method` says."""
    return str(observation.get("method", {}).get("text", "unknown rules"))


def provenance(rescored: Sequence[Rescored], response: Json, recorded: int) -> Json:
    """Targets: the new versions; entities: the response they are of and the versions they replace."""
    changes = sorted({f"by {algorithm_of(one.after)}, before by {algorithm_of(one.before)}" for one in rescored})
    source = {"role": "source", "what": {"reference": versioned(response)}}
    revised = [{"role": "revision", "what": {"reference": versioned(one.before)}} for one in rescored]
    return {
        "resourceType": "Provenance",
        "id": new_id(),
        "target": [{"reference": versioned(one.after)} for one in rescored],
        "recorded": format_instant(recorded).decode(),
        "reason": [{"text": f"Scored again {'; '.join(changes)}."}],
        "activity": UPDATE,
        "agent": [
            {
                "type": {"coding": [{"system": PARTICIPANT, "code": "assembler", "display": "Assembler"}]},
                "who": {"type": "Device", "display": software()},
            }
        ],
        "entity": [source, *revised],
    }


def versioned(resource: Json) -> str:
    """The version of a stored resource that it is."""
    return f"{resource['resourceType']}/{resource['id']}/_history/{resource['meta']['versionId']}"


@cache
def software() -> str:
    return f"fhir-server-msk {version('fhir-server-msk')}"
