"""Nothing more is asked of a patient who has died, whose record was merged into another or who has opted out.

In the transaction that says so: open steps, their plans and the reminders of them end, with one Provenance. Taking it
back does not open them again: somebody has to decide what is still right for the patient.
"""

from __future__ import annotations

from typing import Any

from fhir_server.errors import Issue
from fhir_server.operations.referral_moves import withdraw_for_death
from fhir_server.operations.stand_down import stand_down
from fhir_server.pathways.consents import PATHWAY, categories_of, is_denial, is_of
from fhir_server.pathways.replan import day_of
from fhir_server.reactions.registry import Write

Json = dict[str, Any]

_TAKEN_BACK = (
    "Steps and plans that were stood down before stay so: make a new plan with PlanDefinition/$apply if it is still "
    "right for the patient."
)


_ANOTHER_TIME = (
    "The refusal does not hold today, so nothing was stood down: no new plan is made while it holds, and to end those "
    "there are, write it again once it does."
)


async def patient_written(write: Write) -> list[Issue]:
    """A patient who died has every referral withdrawn too, whose RTT clock ends with it."""
    reason = _reason(write.resource)
    earlier = await write.before()
    before = None if earlier is None else _reason(earlier)
    if reason is not None:
        return await _stand_down(write, f"Patient/{write.version.logical_id}", reason)
    return [] if before is None else [Issue("business-rule", _TAKEN_BACK, None, "warning")]


def _reason(patient: Json) -> str | None:
    """Code of CodeSystem msk-step-reason (R4 patient.html: deceased, active, link.type replaced-by)."""
    if patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient:
        return "died"
    if any(link.get("type") == "replaced-by" for link in patient.get("link", ())):
        return "merged"
    return "plan-ended" if patient.get("active") is False else None


async def consent_written(write: Write) -> list[Issue]:
    """Refusing the pathway (category `pathway`) ends it; refusing reminders alone does not."""
    patient = str(write.resource.get("patient", {}).get("reference", ""))
    if _opts_out(write, write.resource):
        if not is_of(write.resource, write.server.clock.today(), write.server.settings.time_zone):
            return [Issue("business-rule", _ANOTHER_TIME, "Consent.provision.period", "warning")]
        return await _stand_down(write, patient, "opted-out") if patient.startswith("Patient/") else []
    earlier = await write.before()
    if earlier is not None and _opts_out(write, earlier):
        return [Issue("business-rule", _TAKEN_BACK, None, "warning")]
    return []


def _opts_out(write: Write, consent: Json) -> bool:
    return is_denial(consent) and PATHWAY in categories_of(consent, write.server.settings.canonical_base)


async def _stand_down(write: Write, patient: str, reason: str) -> list[Issue]:
    changed: list[Json] = []
    issues: list[Issue] = []
    if reason == "died":
        died = day_of(str(write.resource.get("deceasedDateTime", "")), write.zone)
        changed, issues = await withdraw_for_death(write.server, write.transaction, patient, died)
    changed += await stand_down(write.server, write.transaction, patient, reason)
    if changed:
        text = f"{len(changed)} open steps, plans and reminders of {patient} were stood down ({reason})."
        issues.append(Issue("informational", text, None, "information"))
    return issues
