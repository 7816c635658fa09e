"""The end of a plan: what is still open of it stands down, in the transaction of whatever ended it."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.operations.plans import finish_plan, settle_plan
from fhir_server.operations.plans_stored import anchor_days, open_steps
from fhir_server.operations.slots import free_slots
from fhir_server.operations.stored import content_of, put_json
from fhir_server.pathways.replan import Moment, stood_down
from fhir_server.storage.base import Transaction

Json = dict[str, Any]

DISCHARGE = "discharge"
"""Code of CodeSystem msk-anchor."""
_DISCHARGED = "The patient was discharged."


async def end_plan(server: Server, transaction: Transaction, care_plan: Json, reason: str) -> list[Json]:
    """Revoke `care_plan` and stand its open steps down for `reason` (msk-step-reason); what changed, as stored."""
    moment = Moment(server.clock.now(), server.settings.canonical_base)
    ended = [{**care_plan, "status": "revoked"}]
    for step in await open_steps(transaction, care_plan):
        ended.append(stood_down(step, reason, moment))
        await free_slots(server, transaction, step)
    return [await put_json(server, transaction, resource) for resource in ended]


async def discharge_plan(server: Server, transaction: Transaction, care_plan: Json) -> list[Json]:
    """The patient is discharged: what is asked at discharge is asked now, what waits for other events stands down, what
    has its day goes on. With nothing left open `care_plan` is completed. What changed, as stored."""
    changed = await _date_discharge(server, transaction, care_plan)
    plan = await _stored(transaction, care_plan)
    moment = Moment(server.clock.now(), server.settings.canonical_base)
    days = anchor_days(plan, moment.canonical_base)
    for step in await open_steps(transaction, plan):
        event = _event_of(step, moment.canonical_base)
        if event is not None and event not in days:
            changed.append(await put_json(server, transaction, stood_down(step, "plan-ended", moment)))
    # What follows the steps that stood down is not to come either.
    changed += (await settle_plan(server, transaction, plan, reason=_DISCHARGED)).changed
    return changed + await finish_plan(server, transaction, await _stored(transaction, plan))


async def _date_discharge(server: Server, transaction: Transaction, care_plan: Json) -> list[Json]:
    if DISCHARGE in anchor_days(care_plan, server.settings.canonical_base):
        return []
    anchors = {DISCHARGE: server.clock.today()}
    try:
        return (await settle_plan(server, transaction, care_plan, anchors=anchors, reason=_DISCHARGED)).changed
    except BusinessRule:
        # The pathway counts nothing from the discharge, or is not here any more; nothing was written.
        return []


async def _stored(transaction: Transaction, care_plan: Json) -> Json:
    version = await transaction.current("CarePlan", care_plan["id"])
    assert version is not None
    return content_of(version)


def _event_of(step: Json, canonical_base: str) -> str | None:
    """The event that the step is counted from (msk-step-anchor)."""
    for extension in step.get("extension", ()):
        if extension["url"] == f"{canonical_base}/StructureDefinition/msk-step-anchor":
            codes = [part.get("valueCode") for part in extension.get("extension", ()) if part["url"] == "event"]
            return str(codes[0]) if codes else None
    return None
