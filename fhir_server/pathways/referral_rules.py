"""What a referral needs before it can be submitted (profile msk-referral).

Formats: UBRN, twelve digits (NHS England e-RS); ODS codes, three to ten capital letters and digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.errors import Issue
from fhir_server.pathways.replan import day_of

Json = dict[str, Any]

UBRN = "https://fhir.nhs.uk/Id/UBRN"
ODS = ("https://fhir.nhs.uk/Id/ods-organization-code", "https://fhir.nhs.uk/Id/ods-site-code")
PATHWAY = ("https://fhir.nhs.uk/Id/PathwayId", "https://fhir.nhs.uk/Id/care-pathway-id")

_UBRN = re.compile(r"\d{12}", re.ASCII)
_ODS = re.compile(r"[A-Z0-9]{3,10}", re.ASCII)
CATEGORY = "referral"
"""Code of CodeSystem msk-request-category; what triage asks of a service has SERVICE."""
SERVICE = "service"


def referral_issues(request: Json, canonical_base: str, today: date, zone: ZoneInfo) -> list[Issue]:
    """Everything that is wanting, each with its place."""
    return [
        *_missing(request),
        *_category(request, canonical_base),
        *_identifiers(request),
        *_days(request, canonical_base, today, zone),
    ]


def birth_issues(request: Json, patient: Json, canonical_base: str, zone: ZoneInfo) -> Iterator[Issue]:
    """A referral of somebody who was not born yet."""
    born = str(patient.get("birthDate", ""))
    day = day_of(_received(request, canonical_base) or "", zone)
    if born and day is not None and day.isoformat()[: len(born)] < born:
        text = f"It cannot have been received ({day}) before the patient was born ({born})."
        yield Issue("business-rule", text, "ServiceRequest.extension")


def _missing(request: Json) -> Iterator[Issue]:
    if request.get("intent") != "order":
        yield Issue("business-rule", "A referral has intent order.", "ServiceRequest.intent")
    if not str(request.get("subject", {}).get("reference", "")).startswith("Patient/"):
        yield Issue("required", "A referral is of a Patient of this server (Patient/[id]).", "ServiceRequest.subject")
    if "requester" not in request:
        yield Issue("required", "Say who refers.", "ServiceRequest.requester")
    if "reasonCode" not in request and "reasonReference" not in request and "bodySite" not in request:
        yield Issue(
            "required", "Say why or where: reasonCode, reasonReference or bodySite.", "ServiceRequest.reasonCode"
        )
    if not request.get("identifier"):
        yield Issue("required", "A referral needs an identifier, such as its UBRN.", "ServiceRequest.identifier")


def _category(request: Json, canonical_base: str) -> Iterator[Issue]:
    system = f"{canonical_base}/CodeSystem/msk-request-category"
    for concept in request.get("category", ()):
        for coding in concept.get("coding", ()):
            if coding.get("system") == system and coding.get("code") == CATEGORY:
                return
    yield Issue(
        "required", f"A referral to this service has the category {system}|{CATEGORY}.", "ServiceRequest.category"
    )


def _identifiers(request: Json) -> Iterator[Issue]:
    for index, identifier in enumerate(request.get("identifier", ())):
        place = f"ServiceRequest.identifier[{index}].value"
        if identifier.get("system") == UBRN and not _UBRN.fullmatch(identifier.get("value", "")):
            yield Issue("value", "A UBRN has twelve digits.", place)
    requisition = request.get("requisition")
    if requisition is not None and requisition.get("system") not in PATHWAY:
        text = f"The pathway id is of the system {' or '.join(PATHWAY)}."
        yield Issue("value", text, "ServiceRequest.requisition.system")
    references = [("requester", request.get("requester", {}))]
    references += [(f"performer[{n}]", one) for n, one in enumerate(request.get("performer", ()))]
    for element, reference in references:
        identifier = reference.get("identifier", {})
        if identifier.get("system") in ODS and not _ODS.fullmatch(identifier.get("value", "")):
            place = f"ServiceRequest.{element}.identifier.value"
            yield Issue("value", "An ODS code has three to ten capital letters and digits.", place)


def _days(request: Json, canonical_base: str, today: date, zone: ZoneInfo) -> Iterator[Issue]:
    received = _received(request, canonical_base)
    if received is not None:
        day = day_of(received, zone)
        if day is None:
            yield Issue("value", "The clock starts on a day: msk-received needs one.", "ServiceRequest.extension")
        elif day > today:
            yield Issue("business-rule", "It cannot have been received later than now.", "ServiceRequest.extension")
    written = day_of(request.get("authoredOn", ""), zone)
    if written is not None and written > today:
        yield Issue("business-rule", "It cannot have been written later than now.", "ServiceRequest.authoredOn")


def day_received(request: Json, canonical_base: str, today: date, zone: ZoneInfo) -> date:
    """The day in `zone` on which the clock starts: that of msk-received, else `today`.

    NHS England, RTT rules suite: the day on which the provider receives the referral, not that on which it is written.
    """
    day = day_of(_received(request, canonical_base) or "", zone)
    return today if day is None else day


def _received(request: Json, canonical_base: str) -> str | None:
    url = f"{canonical_base}/StructureDefinition/msk-received"
    return next((one.get("valueDateTime") for one in request.get("extension", ()) if one["url"] == url), None)
