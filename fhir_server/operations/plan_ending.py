"""The end of a plan: what is still open of it stands down, in the transaction of whatever ended it."""

from __future__ import annotations

from typing import Any

from fhir_server.interactions.exchange import Server
from fhir_server.operations.slots import free_slots
from fhir_server.operations.stored import content_of, put_json
from fhir_server.pathways.replan import Moment, is_open, stood_down
from fhir_server.storage.base import Transaction

Json = dict[str, Any]


async def end_plan(server: Server, transaction: Transaction, care_plan: Json, reason: str) -> list[Json]:
    """Revoke `care_plan` and stand its open steps down for `reason` (msk-step-reason); what changed, as stored."""
    moment = Moment(server.clock.now(), server.settings.canonical_base)
    ended = [{**care_plan, "status": "revoked"}]
    for step in await open_steps(transaction, care_plan):
        ended.append(stood_down(step, reason, moment))
        await free_slots(server, transaction, step)
    return [await put_json(server, transaction, resource) for resource in ended]


async def complete_plan(server: Server, transaction: Transaction, care_plan: Json) -> list[Json]:
    """Complete `care_plan` when nothing of it is open; answers to come keep it active."""
    if await open_steps(transaction, care_plan):
        return []
    return [await put_json(server, transaction, {**care_plan, "status": "completed"})]


async def open_steps(transaction: Transaction, care_plan: Json) -> list[Json]:
    """The Tasks, Appointments and ServiceRequests of the plan that may still be done."""
    keys = []
    for activity in care_plan.get("activity", ()):
        kind, _, logical_id = str(activity.get("reference", {}).get("reference", "")).partition("/")
        if kind in ("Task", "Appointment", "ServiceRequest"):
            keys.append((kind, logical_id))
    there = await transaction.versions(keys, bodies=True)
    steps = [content_of(version) for version in there.values() if version.body is not None]
    return [step for step in steps if is_open(step)]
