"""Whose resources an export gives: of patients who are in it, and not of those who refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.bulk.export.matches import matches
from fhir_server.interactions.answer import present
from fhir_server.interactions.exchange import Server
from fhir_server.model.identity import rid
from fhir_server.model.reference import parse_reference
from fhir_server.operations.export import members_of
from fhir_server.operations.export_plan import Plan
from fhir_server.operations.stored import content_of
from fhir_server.pathways.consents import denied
from fhir_server.storage.query import IdIn, Query
from fhir_server.storage.scope import ALL

SECONDARY_USES = frozenset(("research", "analysis"))
"""Codes of CodeSystem msk-consent-category: who refuses one of them is in no export."""
_PAGE = 500

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class People:
    """Patients as identities (model.identity.rid)."""

    wanted: frozenset[int] | None
    """None: everybody, and what is nobody's."""
    everybody: bool
    """Whoever it is of, but only what is of a patient."""
    refusing: frozenset[int]
    asked: frozenset[int] = frozenset()
    """Those asked for, also if they are not here."""

    @property
    def missing(self) -> int:
        """Patients asked for who are not here."""
        return len(self.asked - (self.wanted or frozenset()))

    @property
    def matter(self) -> bool:
        """Whether it has to be looked up whose each resource is."""
        return self.everybody or self.wanted is not None or bool(self.refusing)

    def allow(self, owners: Sequence[int]) -> bool:
        """Whether a resource in the compartments of `owners` is given: what is also of one who refuses is not."""
        if self.refusing and not self.refusing.isdisjoint(owners):
            return False
        if self.wanted is not None:
            return not self.wanted.isdisjoint(owners)
        return bool(owners) or not self.everybody

    def concern(self, owners: Sequence[int]) -> bool:
        """Whether the deletion of what was in the compartments of `owners` is told: also of one who refuses now."""
        if self.wanted is not None:
            return not self.asked.isdisjoint(owners)
        return bool(owners) or not self.everybody


async def people_of(server: Server, plan: Plan, today: date) -> People:
    """As of the plan's snapshot; refusals hold on the day the export began."""
    refusing = frozenset([rid("Patient", one) async for one in _refusing(server, plan, today)])
    ids = plan.patients
    if plan.group is not None and not ids:
        version = present(await server.store.vread(ALL, "Group", *plan.group), "Group", plan.group[0])
        ids = tuple(members_of(content_of(version)))
    if plan.group is None and not ids:
        return People(None, plan.of_patients, refusing)
    asked = frozenset(rid("Patient", one) for one in ids)
    wanted: set[int] = set()
    for start in range(0, len(ids), _PAGE):
        rids = tuple(rid("Patient", one) for one in ids[start : start + _PAGE])
        query = Query("Patient", (IdIn(rids),), count=_PAGE, snapshot=plan.snapshot)
        wanted.update(rid("Patient", one.logical_id) for one in (await server.store.search(ALL, query)).matches)
    return People(frozenset(wanted), False, refusing, asked)


async def _refusing(server: Server, plan: Plan, today: date) -> AsyncIterator[str]:
    """Ids of the patients whose last word on one of SECONDARY_USES is no."""
    base, zone = server.settings.canonical_base, server.settings.time_zone
    given: dict[str, list[Json]] = {}
    system = f"{base}/CodeSystem/msk-consent-category"
    codes = ",".join(f"{system}|{code}" for code in sorted(SECONDARY_USES))
    async for version in matches(server, "Consent", [("category", codes), ("status", "active")], plan.snapshot):
        consent = content_of(version)
        patient = parse_reference(str(consent.get("patient", {}).get("reference", "")))
        if patient.is_local and patient.resource_type == "Patient":
            given.setdefault(patient.logical_id, []).append(consent)
    for logical_id, consents in given.items():
        if denied(consents, base, today, zone) & SECONDARY_USES:
            yield logical_id
