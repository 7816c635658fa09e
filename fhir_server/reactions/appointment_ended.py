"""An Appointment that a referral was booked for ends by plain FHIR: the referral does not go on as if it stood."""

from __future__ import annotations

from fhir_server.errors import BusinessRule, Issue
from fhir_server.operations.found import found
from fhir_server.operations.referral import REASON
from fhir_server.operations.referral_moves import move_with_appointment
from fhir_server.operations.slots import TO_COME
from fhir_server.pathways.referral import STATES, State
from fhir_server.reactions.patient_steps import Json, read, warning
from fhir_server.reactions.referral_moves import state_of
from fhir_server.reactions.registry import Write

_OUTCOME = {"fulfilled": "attended", "noshow": "dna", "cancelled": "cancelled-patient or cancelled-provider"}
"""Outcome of $attend, by what became of the Appointment."""
_AGREED = ("pending", "booked", "arrived", "checked-in")
_CANCELLED_BY = {"pat": STATES["cancelled-patient"], "prov": STATES["cancelled-provider"]}
"""By how the codes of appointment-cancellation-reason begin."""


async def appointment_ended(write: Write) -> list[Issue]:
    """Who cancelled stands in the reason, and moves the referral; whatever needs a decision is asked for."""
    appointment = write.resource
    before = await write.before()
    if before is None or before["status"] not in _AGREED or appointment["status"] not in _OUTCOME:
        return []
    issues: list[Issue] = []
    for reference in (str(one.get("reference", "")) for one in appointment.get("basedOn", ())):
        referral = await read(write, reference) if reference.startswith("ServiceRequest/") else None
        if referral is None or state_of(referral, write.canonical_base) != "booked":
            continue
        if await _has_another(write, reference):
            continue
        to = _cancelled_by(appointment)
        if to is None:
            text = (
                f"{reference} is still booked: say what became of it with $attend, outcome "
                f"{_OUTCOME[appointment['status']]}."
            )
            issues.append(warning(text))
        else:
            issues.append(await _moved(write, referral, to))
    return issues


async def _moved(write: Write, referral: Json, to: State) -> Issue:
    name = f"ServiceRequest/{referral['id']}"
    reason = f"Appointment/{write.version.logical_id} was cancelled."
    try:
        await move_with_appointment(write.server, write.transaction, referral, to, reason)
    except BusinessRule as fault:
        # What is broken there must not keep the appointment from being cancelled.
        return warning(f"{name} could not become {to.code}: {fault}")
    return Issue("informational", f"{name} is {to.code} now.", None, "information")


async def _has_another(write: Write, referral: str) -> bool:
    criteria = [("based-on", referral), ("status", ",".join(sorted(TO_COME | set(_AGREED))))]
    return bool(await found(write.server, write.transaction, "Appointment", criteria, 1))


def _cancelled_by(appointment: Json) -> State | None:
    if appointment["status"] != "cancelled":
        return None
    codings = appointment.get("cancelationReason", {}).get("coding", ())
    codes = (str(one.get("code", "")).partition("-")[0] for one in codings if one.get("system") == REASON)
    return next((_CANCELLED_BY[code] for code in codes if code in _CANCELLED_BY), None)
