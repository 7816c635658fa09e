"""Whose resources an export gives: of patients who are in it, and not of those who refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from fhir_server.bulk.export.refusals import opted_out_nationally, refusing
from fhir_server.interactions.answer import present
from fhir_server.interactions.exchange import Server
from fhir_server.model.identity import rid
from fhir_server.operations.export import members_of
from fhir_server.operations.export_plan import Plan
from fhir_server.operations.stored import content_of
from fhir_server.storage.query import IdIn, Query
from fhir_server.storage.scope import ALL

_PAGE = 500


@dataclass(frozen=True, slots=True)
class People:
    """Patients as identities (model.identity.rid)."""

    wanted: frozenset[int] | None
    """None: everybody, and what is nobody's."""
    everybody: bool
    """Whoever it is of, but only what is of a patient."""
    refusing: frozenset[int]
    nationally: frozenset[int] = frozenset()
    """Those of `refusing` who have the national data opt-out."""
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
        """Whether the deletion of what was in the compartments of `owners` is told.

        Also of one who has refused this service meanwhile, so that what was given before can be removed; but nothing
        whatever is told of one with the national data opt-out.
        """
        if not self.nationally.isdisjoint(owners):
            return False
        if self.wanted is not None:
            return not self.asked.isdisjoint(owners)
        return bool(owners) or not self.everybody


async def people_of(server: Server, plan: Plan, today: date) -> People:
    """As of the plan's snapshot; refusals hold on the day the export began."""
    nationally = frozenset([rid("Patient", one) async for one in opted_out_nationally(server, plan, today)])
    refuse = nationally | frozenset([rid("Patient", one) async for one in refusing(server, plan, today)])
    ids = plan.patients
    if plan.group is not None and not ids:
        version = present(await server.store.vread(ALL, "Group", *plan.group), "Group", plan.group[0])
        ids = tuple(members_of(content_of(version)))
    if plan.group is None and not ids:
        return People(None, plan.of_patients, refuse, nationally)
    asked = frozenset(rid("Patient", one) for one in ids)
    wanted: set[int] = set()
    for start in range(0, len(ids), _PAGE):
        rids = tuple(rid("Patient", one) for one in ids[start : start + _PAGE])
        query = Query("Patient", (IdIn(rids),), count=_PAGE, snapshot=plan.snapshot)
        wanted.update(rid("Patient", one.logical_id) for one in (await server.store.search(ALL, query)).matches)
    return People(frozenset(wanted), False, refuse, nationally, asked)
