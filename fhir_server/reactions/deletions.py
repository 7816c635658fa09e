"""What is in use is not deleted from under those who use it: it is ended first, by what ends it.

R4 http.html#delete lets a server refuse for business rules. A whole plan may go in one transaction: what is looked at
is what is left once all of it is carried out. `$purge` erases whatever is asked of it.
"""

from __future__ import annotations

from fhir_server.errors import Conflict, Issue
from fhir_server.operations.slots import AHEAD
from fhir_server.pathways.steps import plans_of
from fhir_server.reactions.patient_steps import Json, read
from fhir_server.reactions.referral_moves import is_referral, referrals_of
from fhir_server.reactions.registry import Write
from fhir_server.reactions.slots_taken import holder_of


async def keep_referral(write: Write) -> list[Issue]:
    """Raises Conflict (409) for the ServiceRequest, Task or EpisodeOfCare of a referral under way."""
    gone = await _gone(write)
    if is_referral(gone, write.canonical_base):
        for reference in referrals_of(gone):
            referral = gone if reference == _name(gone) else await read(write, reference)
            if referral is not None and referral["status"] in ("active", "on-hold"):
                raise _held(gone, f"it belongs to the referral {reference}: end that first ($withdraw, $discharge)")
    return []


async def keep_step(write: Write) -> list[Issue]:
    """Raises Conflict (409) for a step of a plan that is there and names it."""
    gone = await _gone(write)
    for reference in plans_of(gone):
        plan = await read(write, reference)
        named = [] if plan is None else [one.get("reference", {}).get("reference") for one in plan.get("activity", ())]
        if _name(gone) in named:
            raise _held(
                gone, f"it is a step of {reference}: write it with the state it ends with, or delete the plan too"
            )
    return []


async def keep_booking(write: Write) -> list[Issue]:
    """Raises Conflict (409) for an Appointment that has a Slot and is still to come."""
    gone = await _gone(write)
    if gone["status"] in AHEAD and gone.get("slot"):
        raise _held(gone, "it has a Slot: cancel it, and the slot is free")
    return []


async def keep_slot(write: Write) -> list[Issue]:
    """Raises Conflict (409) for a Slot that an Appointment to come has."""
    if holder := await holder_of(write, AHEAD):
        raise _held(await _gone(write), f"{holder} has it: cancel that first")
    return []


async def _gone(write: Write) -> Json:
    before = await write.before()
    assert before is not None  # only what is there is deleted
    return before


def _name(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _held(resource: Json, why: str) -> Conflict:
    return Conflict(f"{_name(resource)} cannot be deleted, as {why}.", code="business-rule")
