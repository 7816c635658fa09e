"""Why a plan's steps have new versions (R4 provenance.html)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.interactions.logical_id import new_id
from fhir_server.model.instant import format_instant
from fhir_server.operations.score_provenance import PARTICIPANT, UPDATE, software, versioned


def provenance(changed: Sequence[dict[str, Any]], reason: str, recorded: int) -> dict[str, Any]:
    """Targets: the new versions."""
    return {
        "resourceType": "Provenance",
        "id": new_id(),
        "target": [{"reference": versioned(resource)} for resource in changed],
        "recorded": format_instant(recorded).decode(),
        "reason": [{"text": reason}],
        "activity": UPDATE,
        "agent": [
            {
                "type": {"coding": [{"system": PARTICIPANT, "code": "assembler", "display": "Assembler"}]},
                "who": {"type": "Device", "display": software()},
            }
        ],
    }
