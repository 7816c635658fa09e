"""Patients who refuse that their data serve more than their own care: by a Consent, or nationally, as a Flag tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from fhir_server.bulk.export.matches import matches
from fhir_server.interactions.exchange import Server
from fhir_server.model.reference import parse_reference
from fhir_server.operations.export_plan import Plan
from fhir_server.operations.stored import content_of
from fhir_server.pathways.consents import denied, holds

SECONDARY_USES = frozenset(("research", "analysis"))
"""Codes of CodeSystem msk-consent-category: who refuses one of them is in no export."""
NATIONAL_OPT_OUT = "national-data-opt-out"
"""Code of CodeSystem msk-flag."""

Json = dict[str, Any]


async def refusing(server: Server, plan: Plan, today: date) -> AsyncIterator[str]:
    """Ids of the patients whose last word on one of SECONDARY_USES is no."""
    base, zone = server.settings.canonical_base, server.settings.time_zone
    given: dict[str, list[Json]] = {}
    system = f"{base}/CodeSystem/msk-consent-category"
    codes = ",".join(f"{system}|{code}" for code in sorted(SECONDARY_USES))
    async for version in matches(server, "Consent", [("category", codes), ("status", "active")], plan.snapshot):
        consent = content_of(version)
        if (patient := _patient(consent.get("patient", {}))) is not None:
            given.setdefault(patient, []).append(consent)
    for logical_id, consents in given.items():
        if denied(consents, base, today, zone) & SECONDARY_USES:
            yield logical_id


async def opted_out_nationally(server: Server, plan: Plan, today: date) -> AsyncIterator[str]:
    """Ids of the patients with an active Flag of NATIONAL_OPT_OUT whose period is not over, and has begun.

    R4 has no search for a Flag's code, and what is exported must not depend on a SearchParameter that somebody can
    remove: all are read.
    """
    system = f"{server.settings.canonical_base}/CodeSystem/msk-flag"
    async for version in matches(server, "Flag", [], plan.snapshot):
        if NATIONAL_OPT_OUT.encode() not in (version.body or b""):
            continue
        flag = content_of(version)
        codes = {(one.get("system"), one.get("code")) for one in flag["code"].get("coding", ())}
        if (
            flag["status"] == "active"
            and (system, NATIONAL_OPT_OUT) in codes
            and holds(flag.get("period", {}), today, server.settings.time_zone)
            and (patient := _patient(flag["subject"])) is not None
        ):
            yield patient


def _patient(reference: Json) -> str | None:
    """Id of the Patient of this server that is referred to."""
    target = parse_reference(str(reference.get("reference", "")))
    return target.logical_id if target.is_local and target.resource_type == "Patient" else None
