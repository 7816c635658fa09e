"""Which resources go when a patient is erased: the compartment of today and of every earlier day.

A deleted resource has no index rows, but its history still holds the patient's data, as do the Binaries that
attachments point at. Both are found by reading every stored version once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from fhir_server.model.identity import rid
from fhir_server.operations.patient_record import PatientRecord, compartment_types
from fhir_server.operations.references import targets
from fhir_server.operations.stored import content_of
from fhir_server.search.extract import extract
from fhir_server.storage.base import Store, Transaction
from fhir_server.storage.query import HistoryQuery
from fhir_server.storage.scope import Scope

Key = tuple[str, str]
"""(resource type, logical id)"""
PAGE = 500
"""Versions held in memory at once."""


@dataclass(slots=True)
class Erasure:
    """What to look at inside the transaction that erases."""

    keys: set[Key]
    """Erased whatever their state."""
    patient_id: str | None = None
    """Erase this patient's present compartment too."""
    types: tuple[str, ...] = ()
    """Types the present compartment may have."""
    former: set[Key] = field(default_factory=set)
    """Were in the compartment in some version: erased when deleted since."""

    async def decide(self, transaction: Transaction) -> tuple[set[Key], set[Key]]:
        """What to erase, and which of `former` live on as somebody else's."""
        doomed = set(self.keys)
        if self.patient_id is not None:
            record = PatientRecord(transaction.search, self.patient_id, self.types)
            doomed |= {(member.resource_type, member.logical_id) async for member in record.members()}
        others = await transaction.versions(sorted(self.former - doomed))
        deleted = {key for key, version in others.items() if version.method == "delete"}
        return doomed | deleted, set(others) - deleted


async def plan_erasure(store: Store, scope: Scope, patient_id: str, time_zone: str) -> Erasure:
    """Read every version and note what is or was the patient's.

    A Binary goes with the resources that point at it unless any resource outside points at it as well.
    """
    erasure = Erasure({("Patient", patient_id)}, patient_id, compartment_types(await store.counts(scope)))
    patient = rid("Patient", patient_id)
    # Cheap to look for, and no resource is in the compartment without it.
    mention = patient_id.encode()
    own_binaries: set[Key] = set()
    shared_binaries: set[Key] = set()
    query = HistoryQuery(count=PAGE, total=False)
    while True:
        page = await store.history(scope, query)
        for version in page.versions:
            if version.body is None:
                continue
            own = mention in version.body and patient in extract(content_of(version), time_zone).compartments
            if own:
                erasure.former.add((version.resource_type, version.logical_id))
            if b"Binary/" in version.body:
                binaries = own_binaries if own else shared_binaries
                binaries.update(target for target in targets(version.body) if target[0] == "Binary")
        if page.next_before is None:
            break
        query = replace(query, snapshot=page.snapshot, before=page.next_before)
        # A page may be read without waiting for anything: let others have a turn.
        await asyncio.sleep(0)
    erasure.keys |= own_binaries - shared_binaries
    return erasure
