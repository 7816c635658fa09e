"""Ending all that is open of a patient's plans, in one transaction with one Provenance."""

from __future__ import annotations

from typing import Any

from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.operations.found import found
from fhir_server.operations.plans_provenance import provenance
from fhir_server.operations.slots import free_slots
from fhir_server.operations.stored import content_of
from fhir_server.pathways.replan import Moment, stood_down
from fhir_server.pathways.steps import UNDER_WAY, is_step, plans_of
from fhir_server.storage.base import Transaction

Json = dict[str, Any]

_MOST = 100_000
"""More than one patient's steps."""

_STEPS = {
    "Task": ",".join(sorted(UNDER_WAY)),
    "Appointment": "proposed,pending,booked,arrived,checked-in,waitlist",
    "ServiceRequest": "draft,active,on-hold",
}
"""The status of steps that may still be done."""

_WHY = {
    "died": "The patient has died.",
    "merged": "The patient's record was merged into another.",
    "opted-out": "The patient has opted out of the digital pathway.",
    "plan-ended": "The patient's record is not active.",
}


async def stand_down(server: Server, transaction: Transaction, patient: str, reason: str) -> list[Json]:
    """End the open steps, plans and reminders of `patient` (Patient/id) for `reason` (CodeSystem msk-step-reason);
    what changed, as stored. Nothing is written when nothing is open."""
    moment = Moment(server.clock.now(), server.settings.canonical_base)
    base = server.settings.canonical_base
    ending: list[Json] = []
    for kind, statuses in _STEPS.items():
        for step in await _of(server, transaction, kind, patient, statuses):
            if plans_of(step) or (kind == "Task" and is_step(step, base)):
                ending.append(stood_down(step, reason, moment))
                await free_slots(server, transaction, step)
    for plan in await _of(server, transaction, "CarePlan", patient, "draft,active,on-hold"):
        # Plans of other kinds, such as a nursing plan, are not the pathways'.
        if "instantiatesCanonical" in plan:
            ending.append({**plan, "status": "revoked"})
    for message in await _of(server, transaction, "Communication", patient, "preparation"):
        if _is_reminder(message, base):
            code = {"system": f"{base}/CodeSystem/msk-step-reason", "code": reason}
            ending.append({**message, "status": "not-done", "statusReason": {"coding": [code]}})
    changed = [content_of(await transaction.put(prepare_for(server, one, one["id"]))) for one in ending]
    if changed:
        why = provenance(changed, _WHY[reason], transaction.last_updated)
        await transaction.put(prepare_for(server, why, why["id"], fresh=True))
    return changed


async def _of(server: Server, transaction: Transaction, kind: str, patient: str, statuses: str) -> list[Json]:
    criteria = [("patient", patient), ("status", statuses)]
    return [content_of(version) for version in await found(server, transaction, kind, criteria, _MOST)]


def _is_reminder(communication: Json, canonical_base: str) -> bool:
    system = f"{canonical_base}/CodeSystem/msk-communication-category"
    return any(
        coding.get("system") == system and coding.get("code") == "reminder"
        for category in communication.get("category", ())
        for coding in category.get("coding", ())
    )
