"""An Appointment takes the Slots it names and gives them back when it is cancelled (R4 slot.html, appointment.html)."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule, Conflict
from fhir_server.interactions.exchange import Server
from fhir_server.model.instant import MICROS, parse_instant
from fhir_server.operations.stored import content_of, put_json
from fhir_server.storage.base import Transaction

Json = dict[str, Any]

AHEAD = frozenset(("pending", "booked"))
"""Agreed, and still to come."""
TO_COME = AHEAD | {"proposed", "waitlist"}
"""Not begun, and not called off."""
HOLDING = AHEAD | {"arrived", "checked-in", "fulfilled", "noshow"}
"""Appointments in these states have, or had, their slots to themselves."""


async def settle_slots(server: Server, transaction: Transaction, before: Json | None, after: Json) -> list[Json]:
    """Take what `after` holds and `before` did not, free the other way round; the Slots changed, as stored.

    Raises Conflict (409) for a slot that is taken, BusinessRule (422) for one that is not here or does not fit.
    """
    had, has = _held(before), _held(after)
    taken = [await _free_slot(transaction, slot, place) for slot, place in has.items() if slot not in had]
    if taken:
        _refuse_unfit(server, after, taken)
    changed = [{**slot, "status": "busy"} for slot in taken]
    for reference in had:
        if reference not in has and (slot := await _stored(transaction, reference)) and slot["status"] == "busy":
            changed.append({**slot, "status": "free"})
    return [await put_json(server, transaction, slot) for slot in changed]


async def free_slots(server: Server, transaction: Transaction, appointment: Json) -> None:
    """Give back what `appointment`, a step of a plan that stands down, holds; other steps hold nothing."""
    if appointment["resourceType"] == "Appointment":
        await settle_slots(server, transaction, appointment, {**appointment, "status": "cancelled"})


def _held(appointment: Json | None) -> dict[str, str]:
    """References of the slots it has to itself, and where each stands."""
    if appointment is None or appointment["status"] not in HOLDING:
        return {}
    references = (str(one.get("reference", "")) for one in appointment.get("slot", ()))
    return {
        reference: f"Appointment.slot[{index}]"
        for index, reference in enumerate(references)
        if reference.startswith("Slot/")
    }


async def _free_slot(transaction: Transaction, reference: str, place: str) -> Json:
    slot = await _stored(transaction, reference)
    if slot is None:
        raise BusinessRule(f"There is no {reference}.", code="not-found", expression=place)
    if slot["status"] != "free":
        raise Conflict(
            f"{reference} is {slot['status']}: somebody has it. Search for another, Slot?status=free.", expression=place
        )
    return slot


async def _stored(transaction: Transaction, reference: str) -> Json | None:
    resource_type, _, logical_id = reference.partition("/")
    version = await transaction.current(resource_type, logical_id)
    return None if version is None or version.body is None else content_of(version)


def _refuse_unfit(server: Server, appointment: Json, slots: list[Json]) -> None:
    """An appointment that begins before its slots or ends after them would take time that nobody offered."""
    starts, ends = ([_moment(slot[side]) for slot in slots] for side in ("start", "end"))
    if appointment["status"] in AHEAD and min(starts) < server.clock.now().timestamp() * MICROS:
        raise BusinessRule("The slot has begun already: it can no longer be booked.", expression="Appointment.slot")
    if "start" not in appointment or "end" not in appointment:
        raise BusinessRule(
            "Give the start and end, which are the slot's.", code="required", expression="Appointment.start"
        )
    if _moment(appointment["start"]) < min(starts) or _moment(appointment["end"]) > max(ends):
        raise BusinessRule(
            f"The appointment is not within its slots ({slots[0]['start']} to {slots[-1]['end']}).",
            expression="Appointment.start",
        )


def _moment(text: str) -> int:
    moment = parse_instant(text)
    assert moment is not None  # R4's instant: it was validated when it was stored
    return moment
