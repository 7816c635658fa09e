"""Who may answer for a patient: they themselves, staff, or a RelatedPerson of theirs who is active.

R4 questionnaireresponse.html: source.
"""

from __future__ import annotations

from fhir_server.errors import BusinessRule
from fhir_server.pathways.steps import days_of
from fhir_server.reactions.patient_steps import read
from fhir_server.reactions.registry import Write

_PLACE = "QuestionnaireResponse.source.reference"


async def check_responder(write: Write) -> None:
    """Raises BusinessRule (422) when the source is another Patient, or a RelatedPerson who may not answer."""
    response = write.resource
    source = str(response.get("source", {}).get("reference", ""))
    subject = response.get("subject", {}).get("reference")
    if source.startswith("Patient/") and source != subject:
        text = f"{source} is not the patient that the answers are about: who answers for another is a RelatedPerson."
        raise BusinessRule(text, expression=_PLACE)
    if not source.startswith("RelatedPerson/"):
        return
    person = await read(write, source)
    if person is None:
        raise BusinessRule(f"There is no {source}.", code="not-found", expression=_PLACE)
    if person["patient"].get("reference") != subject:
        raise BusinessRule(f"{source} is not related to the patient that the answers are about.", expression=_PLACE)
    clock = write.server.clock
    until = days_of(person.get("period", {}).get("end"), write.zone)
    if person.get("active") is False or (until is not None and until[1] < clock.today()):
        raise BusinessRule(f"{source} is not active, so cannot answer for the patient.", expression=_PLACE)
