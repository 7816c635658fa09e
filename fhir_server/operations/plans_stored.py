"""What stored plans, patients and referrals say that plans are made and settled by."""

from __future__ import annotations

from datetime import date
from typing import Any, Protocol

from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.model.dates import zone
from fhir_server.operations.found import found
from fhir_server.operations.plans_parameters import expression
from fhir_server.operations.stored import content_of
from fhir_server.pathways.apply_steps import KINDS
from fhir_server.pathways.consents import PATHWAY, denied
from fhir_server.pathways.replan import action_of, day_of, is_open
from fhir_server.storage.base import StoredVersion, Transaction

Json = dict[str, Any]

_PLANS = 1000
"""More than one patient's active plans."""
_CONSENTS = 1000
"""More than one patient's."""


class Reading(Protocol):
    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None: ...


def local(reference: str) -> tuple[str, str]:
    """`Type/id` as type and id."""
    resource_type, _, logical_id = reference.partition("/")
    return resource_type, logical_id


def anchor_days(care_plan: Json, canonical_base: str) -> dict[str, date]:
    """The days of the plan's events (msk-anchor-date)."""
    url = f"{canonical_base}/StructureDefinition/msk-anchor-date"
    days = {}
    for extension in care_plan.get("extension", ()):
        if extension["url"] == url:
            parts = {part["url"]: part for part in extension.get("extension", ())}
            event, day = parts.get("event", {}).get("valueCode"), parts.get("date", {}).get("valueDate", "")
            # What a client wrote there by halves dates nothing.
            if event is not None and len(day) == len("2026-01-01"):
                days[event] = date.fromisoformat(day)
    return days


def side_of(care_plan: Json, canonical_base: str) -> str | None:
    url = f"{canonical_base}/StructureDefinition/msk-laterality"
    return next((one.get("valueCode") for one in care_plan.get("extension", ()) if one["url"] == url), None)


def referral_of(care_plan: Json) -> str | None:
    """The ServiceRequest the plan was made for, as `$apply` puts it there."""
    references = (str(one.get("reference", "")) for one in care_plan.get("supportingInfo", ()))
    return next((one for one in references if one.startswith("ServiceRequest/")), None)


async def steps_of(transaction: Transaction, care_plan: Json, canonical_base: str) -> dict[str, Json]:
    """The plan's steps by action, of one that was made once more the last; what was added to the plan by hand has no
    action and is left alone."""
    keys = [local(one.get("reference", {}).get("reference", "")) for one in care_plan.get("activity", ())]
    keys = [key for key in keys if key[0] in KINDS]
    there = await transaction.versions(keys, bodies=True)
    steps = {}
    for key in keys:
        version = there.get(key)
        if version is not None and version.body is not None:
            resource = content_of(version)
            action = action_of(resource, canonical_base)
            if action is not None:
                steps[action] = resource
    return steps


async def open_steps(transaction: Transaction, care_plan: Json) -> list[Json]:
    """What may still be done of the plan, whoever added it."""
    keys = [local(one.get("reference", {}).get("reference", "")) for one in care_plan.get("activity", ())]
    there = await transaction.versions([key for key in keys if key[0] in KINDS], bodies=True)
    steps = [content_of(version) for version in there.values() if version.body is not None]
    return [step for step in steps if is_open(step)]


async def refuse_overlap(server: Server, transaction: Transaction, care_plan: Json, pathway: str) -> None:
    """Raises BusinessRule (422) when the patient has an active plan of the pathway (url) for the same side."""
    base = server.settings.canonical_base
    subject = care_plan["subject"]["reference"]
    criteria = [("subject", subject), ("status", "active")]
    for version in await found(server, transaction, "CarePlan", criteria, _PLANS):
        plan = content_of(version)
        urls = {canonical.partition("|")[0] for canonical in plan.get("instantiatesCanonical", ())}
        if pathway in urls and _overlap(side_of(care_plan, base), side_of(plan, base)):
            raise BusinessRule(
                f"{subject} has CarePlan/{plan['id']}, an active plan of {pathway} for the same side: move its "
                "dates with $replan, or complete or revoke it first.",
                expression=expression("subject"),
            )


def _overlap(one: str | None, other: str | None) -> bool:
    """Both sides are each side too."""
    return one == other or (one is not None and other is not None and "bilateral" in (one, other))


async def living_patient(reader: Reading, subject: str, place: str) -> Json:
    """The patient; raises BusinessRule (422) at `place` for one that no plan can be made for."""
    stored = await reader.current(*local(subject))
    if stored is None or stored.body is None:
        raise BusinessRule(f"There is no {subject}.", code="not-found", expression=place)
    patient = content_of(stored)
    if patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient:
        raise BusinessRule(f"{subject} has died: nothing is planned.", expression=place)
    if patient.get("active") is False:
        raise BusinessRule(f"{subject} is not active: nothing is planned.", expression=place)
    return patient


async def refuse_stood_down(server: Server, transaction: Transaction, subject: str) -> None:
    """Raises BusinessRule (422) for a patient of whom nothing more is asked, as of this point of the transaction."""
    await living_patient(transaction, subject, expression("subject"))
    criteria = [("patient", subject), ("status", "active")]
    consents = [content_of(one) for one in await found(server, transaction, "Consent", criteria, _CONSENTS)]
    if PATHWAY in denied(consents, server.settings.canonical_base, server.clock.today(), server.settings.time_zone):
        raise BusinessRule(
            f"{subject} has left the digital pathway (Consent): no plan is made, unless a later Consent permits it.",
            expression=expression("subject"),
        )


async def own_referral(reader: Reading, referral: str, subject: str) -> Json:
    """The ServiceRequest; raises BusinessRule (422) when it is not here or not the patient's."""
    stored = await reader.current(*local(referral))
    if stored is None or stored.body is None:
        raise BusinessRule(f"There is no {referral}.", code="not-found", expression=expression("referral"))
    request = content_of(stored)
    if request.get("subject", {}).get("reference") != subject:
        raise BusinessRule(f"{referral} is not of {subject}.", expression=expression("referral"))
    return request


def referral_day(server: Server, referral: Json) -> date | None:
    """The day it was received (msk-received), else written, in the server's zone."""
    url = f"{server.settings.canonical_base}/StructureDefinition/msk-received"
    received = next((one.get("valueDateTime") for one in referral.get("extension", ()) if one["url"] == url), None)
    text = received or referral.get("authoredOn")
    return None if text is None else day_of(str(text), zone(server.settings.time_zone))
