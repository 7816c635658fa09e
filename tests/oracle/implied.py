"""Facts of R4 about the elements behind some parameters, written down by hand from the resources' pages."""

from __future__ import annotations

BOOLEAN_PARAMETERS = frozenset(("active", "deceased", "actual", "exclude"))
CONTACT_PARAMETERS = frozenset(("telecom", "phone", "email"))

_FHIR = "http://hl7.org/fhir/"
IMPLIED_SYSTEMS: dict[tuple[str, str], str] = {
    ("Patient", "gender"): f"{_FHIR}administrative-gender",
    ("Practitioner", "gender"): f"{_FHIR}administrative-gender",
    ("Patient", "address-use"): f"{_FHIR}address-use",
    ("Practitioner", "address-use"): f"{_FHIR}address-use",
    ("Organization", "address-use"): f"{_FHIR}address-use",
    ("Location", "address-use"): f"{_FHIR}address-use",
    ("Location", "status"): f"{_FHIR}location-status",
    ("Observation", "status"): f"{_FHIR}observation-status",
    ("ServiceRequest", "status"): f"{_FHIR}request-status",
    ("ServiceRequest", "intent"): f"{_FHIR}request-intent",
    ("ServiceRequest", "priority"): f"{_FHIR}request-priority",
    ("CarePlan", "status"): f"{_FHIR}request-status",
    ("CarePlan", "intent"): f"{_FHIR}request-intent",
    ("Task", "status"): f"{_FHIR}task-status",
    ("Task", "priority"): f"{_FHIR}request-priority",
    ("QuestionnaireResponse", "status"): f"{_FHIR}questionnaire-answers-status",
    ("Encounter", "status"): f"{_FHIR}encounter-status",
    ("Questionnaire", "status"): f"{_FHIR}publication-status",
    ("ValueSet", "status"): f"{_FHIR}publication-status",
    ("CodeSystem", "status"): f"{_FHIR}publication-status",
    ("Group", "type"): f"{_FHIR}group-type",
    ("CodeSystem", "content-mode"): f"{_FHIR}codesystem-content-mode",
    ("Questionnaire", "subject-type"): f"{_FHIR}resource-types",
}
"""(type, parameter) -> the code system of the element's required binding, where that is a single one."""
