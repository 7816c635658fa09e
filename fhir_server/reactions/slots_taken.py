"""Booking an Appointment takes its Slots, in the same transaction: nothing is booked twice."""

from __future__ import annotations

from collections.abc import Collection

from fhir_server.errors import BusinessRule, Issue
from fhir_server.operations.found import found
from fhir_server.operations.slots import HOLDING, settle_slots
from fhir_server.reactions.registry import Write


async def slots_taken(write: Write) -> list[Issue]:
    """Raises Conflict (409) for a slot that is taken, BusinessRule (422) for one that does not fit."""
    before = await write.before()
    if before is None and "slot" not in write.resource:
        return []
    await settle_slots(write.server, write.transaction, before, write.resource)
    return []


async def slot_held(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) for a Slot that is set free although an Appointment has it."""
    slot = write.resource
    before = await write.before()
    if slot["status"] != "free" or before is None or before["status"] == "free":
        return []
    if holder := await holder_of(write, HOLDING):
        raise BusinessRule(f"{holder} has the slot: cancel it, and the slot is free.", expression="Slot.status")
    return []


async def holder_of(write: Write, statuses: Collection[str]) -> str | None:
    """The Appointment in one of `statuses` that has the Slot written or deleted, as `Appointment/id`."""
    criteria = [("slot", f"Slot/{write.version.logical_id}"), ("status", ",".join(sorted(statuses)))]
    holders = await found(write.server, write.transaction, "Appointment", criteria, 1)
    return f"Appointment/{holders[0].logical_id}" if holders else None
