"""Who moved a referral, when and why (R4 provenance.html)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fhir_server.interactions.logical_id import new_id
from fhir_server.model.instant import format_instant
from fhir_server.operations.score_provenance import PARTICIPANT, software, versioned

Json = dict[str, Any]


def moved(
    changed: Sequence[Json],
    *,
    state: str,
    performer: str | None,
    reason: str | None,
    recorded: int,
    occurred: datetime,
    canonical_base: str,
) -> Json:
    """Targets: the new versions. Without a `performer` the software says that it was told by nobody it knows."""
    who: Json = {"reference": performer} if performer else {"type": "Device", "display": software()}
    kind = ("performer", "Performer") if performer else ("assembler", "Assembler")
    resource: Json = {
        "resourceType": "Provenance",
        "id": new_id(),
        "target": [{"reference": versioned(one)} for one in changed],
        "occurredDateTime": occurred.isoformat(timespec="seconds"),
        "recorded": format_instant(recorded).decode(),
    }
    if reason is not None:
        resource["reason"] = [{"text": reason}]
    resource["activity"] = {"coding": [{"system": f"{canonical_base}/CodeSystem/msk-referral-state", "code": state}]}
    resource["agent"] = [
        {"type": {"coding": [{"system": PARTICIPANT, "code": kind[0], "display": kind[1]}]}, "who": who}
    ]
    return resource
