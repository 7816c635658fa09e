"""Every reaction of this server, one line each; those of one type run in this order."""

from __future__ import annotations

from fhir_server.model.nhs_number import CARRIERS
from fhir_server.reactions.appointment_ended import appointment_ended
from fhir_server.reactions.deletions import keep_booking, keep_referral, keep_slot, keep_step
from fhir_server.reactions.nhs_number import check_nhs_number
from fhir_server.reactions.questionnaire_answered import alerts_told, questionnaire_answered
from fhir_server.reactions.referral_moves import hold_referral
from fhir_server.reactions.registry import Reaction, ReactionRegistry
from fhir_server.reactions.resource_viewed import resource_viewed
from fhir_server.reactions.slots_taken import slot_held, slots_taken
from fhir_server.reactions.step_moves import step_ended, step_moves
from fhir_server.reactions.stood_down import consent_written, patient_written

REACTIONS: tuple[Reaction, ...] = (
    Reaction(CARRIERS, check_nhs_number),
    Reaction(frozenset({"EpisodeOfCare", "ServiceRequest", "Task"}), hold_referral),
    Reaction(frozenset({"Patient"}), patient_written),
    Reaction(frozenset({"Consent"}), consent_written),
    Reaction(frozenset({"Task"}), step_moves),
    Reaction(frozenset({"Appointment"}), slots_taken),
    Reaction(frozenset({"Slot"}), slot_held),
    Reaction(frozenset({"Appointment", "ServiceRequest"}), step_ended),
    Reaction(frozenset({"Appointment"}), appointment_ended),
    Reaction(frozenset({"QuestionnaireResponse"}), alerts_told),
    Reaction(frozenset({"QuestionnaireResponse"}), questionnaire_answered),
    Reaction(frozenset({"Communication"}), resource_viewed),
    Reaction(frozenset({"EpisodeOfCare", "ServiceRequest", "Task"}), keep_referral, deletion=True),
    Reaction(frozenset({"Appointment", "ServiceRequest", "Task"}), keep_step, deletion=True),
    Reaction(frozenset({"Appointment"}), keep_booking, deletion=True),
    Reaction(frozenset({"Slot"}), keep_slot, deletion=True),
)


def served_reactions() -> ReactionRegistry:
    return ReactionRegistry(REACTIONS)
