"""Booking an Appointment takes its Slots, in the same transaction: nothing is booked twice."""

from __future__ import annotations

from fhir_server.errors import Issue
from fhir_server.operations.slots import settle_slots
from fhir_server.reactions.registry import Write


async def slots_taken(write: Write) -> list[Issue]:
    """Raises Conflict (409) for a slot that is taken, BusinessRule (422) for one that does not fit."""
    before = await write.before()
    if before is None and "slot" not in write.resource:
        return []
    await settle_slots(write.server, write.transaction, before, write.resource)
    return []
