"""The moves of a referral that are no more than a change of state: one function each, all by `move`.

$submit and $triage have their own modules.
"""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule
from fhir_server.interactions.consequences import react
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Response
from fhir_server.model.dates import zone
from fhir_server.operations.plans_parameters import code_given, expression
from fhir_server.operations.referral_moves import Move, move, refuse_illegal
from fhir_server.operations.referral_parameters import local_references
from fhir_server.operations.referral_record import Referral
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.pathways.referral import STATES
from fhir_server.pathways.replan import day_of
from fhir_server.storage.base import Transaction

Json = dict[str, Any]

_APPOINTMENT = {
    "attended": "fulfilled",
    "dna": "noshow",
    "cancelled-patient": "cancelled",
    "cancelled-provider": "cancelled",
}
"""Appointment.status by what became of it."""
REASON = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
_CANCELLED_BY = {"cancelled-patient": "pat", "cancelled-provider": "prov"}
_AGREED = ("booked", "arrived", "checked-in", "fulfilled")


async def discard(call: OperationRequest) -> Response:
    return await _to(call, "discarded")


async def start_triage(call: OperationRequest) -> Response:
    return await _to(call, "in-triage")


async def waitlist(call: OperationRequest) -> Response:
    return await _to(call, "waitlisted")


async def discharge(call: OperationRequest) -> Response:
    return await _to(call, "discharged")


async def reopen(call: OperationRequest) -> Response:
    """Patient-initiated follow-up: the referral is with its services again."""
    return await _to(call, "accepted", reopening=True)


async def withdraw(call: OperationRequest) -> Response:
    return await _to(call, "withdrawn")


async def _to(call: OperationRequest, state: str, *, reopening: bool = False) -> Response:
    async def decide(call: OperationRequest, transaction: Transaction, referral: Referral) -> Move:
        return Move(STATES[state], rtt=call.one("rtt"), reopening=reopening)

    return await move(call, decide)


async def book(call: OperationRequest) -> Response:
    """Raises BusinessRule (422) for an Appointment that is not the patient's, or that is not agreed."""

    async def decide(call: OperationRequest, transaction: Transaction, referral: Referral) -> Move:
        to = STATES["booked"]
        refuse_illegal(referral, to)
        appointment = await _appointment(call, transaction, referral)
        assert appointment is not None
        if appointment["status"] not in _AGREED:
            raise BusinessRule(
                f"Appointment/{appointment['id']} is {appointment['status']}: book it first.",
                expression=expression("appointment"),
            )
        reference = {"reference": f"ServiceRequest/{referral.request['id']}"}
        based_on = appointment.get("basedOn", [])
        changed = [] if reference in based_on else [{**appointment, "basedOn": [*based_on, reference]}]
        return Move(to, rtt=call.one("rtt"), changed=changed)

    return await move(call, decide)


async def attend(call: OperationRequest) -> Response:
    """The Appointment, when it is named, is changed as by a client: its slots and its plan follow."""

    async def decide(call: OperationRequest, transaction: Transaction, referral: Referral) -> Move:
        outcome = code_given(call, "outcome", list(_APPOINTMENT)) or ""
        decided = Move(STATES[outcome], rtt=call.one("rtt"))
        refuse_illegal(referral, decided.to)
        appointment = await _appointment(call, transaction, referral)
        if appointment is not None and outcome not in _CANCELLED_BY:
            decided.day = day_of(appointment.get("start", ""), zone(call.server.clock.time_zone))
        if appointment is not None and appointment["status"] != _APPOINTMENT[outcome]:
            ended = _ended(appointment, outcome)

            async def store() -> list[Json]:
                version = await transaction.put(prepare_for(call.server, ended, ended["id"]))
                await react(call.server, transaction, version)
                return [content_of(version)]

            decided.then = store
        return decided

    return await move(call, decide)


def _ended(appointment: Json, outcome: str) -> Json:
    ended = {**appointment, "status": _APPOINTMENT[outcome]}
    if outcome in _CANCELLED_BY:
        ended["cancelationReason"] = {"coding": [{"system": REASON, "code": _CANCELLED_BY[outcome]}]}
    return ended


async def _appointment(call: OperationRequest, transaction: Transaction, referral: Referral) -> Json | None:
    """The Appointment that is named, of this patient."""
    for reference in local_references(call, "appointment", ("Appointment",)):
        kind, _, logical_id = reference.partition("/")
        stored = await transaction.current(kind, logical_id)
        if stored is None or stored.body is None:
            raise BusinessRule(f"There is no {reference}.", code="not-found", expression=expression("appointment"))
        appointment = content_of(stored)
        actors = {one.get("actor", {}).get("reference") for one in appointment.get("participant", ())}
        if referral.request["subject"].get("reference") not in actors:
            raise BusinessRule(f"{reference} is not of the referral's patient.", expression=expression("appointment"))
        return appointment
    return None
