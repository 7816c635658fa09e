"""Reminders that are due today, as Communications in preparation: each is made once, whoever runs this how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

from fhir_server.interactions.current_registry import with_current_registry
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.jobs.due import due_steps
from fhir_server.model.dates import zone
from fhir_server.operations.found import found, query_of
from fhir_server.operations.stored import content_of
from fhir_server.pathways.consents import PATHWAY, REMINDERS, denied
from fhir_server.pathways.reminders import AFTER_OPENING, BEFORE_END, GRACE_DAYS, MOST, reminder, reminder_due
from fhir_server.storage.base import Dated, Draft, StoredVersion, Transaction
from fhir_server.storage.scope import ALL

Json = dict[str, Any]

_CONSENTS = 10_000
"""More than those of the patients of one batch."""
_REMINDERS = 100_000
"""More than those of one batch's patients."""


async def make_reminders(server: Server, today: date) -> int:
    """Make what is due on `today`, and what was on the few days before; how many were made."""
    made = 0
    async for batch in _candidates(server, today):
        versions = [one.version for one in batch]

        async def attempt(versions: list[StoredVersion] = versions) -> int:
            return await _remind(server, versions, today)

        made += await with_current_registry(server, attempt)
    return made


async def _candidates(server: Server, today: date) -> AsyncIterator[list[Dated]]:
    """Steps whose window began or ends on such a day; those found by both are no harm."""
    grace = timedelta(days=GRACE_DAYS)
    for days in AFTER_OPENING:
        began = today - timedelta(days=days)
        async for batch in due_steps(server, "Task", "due", began, began - grace):
            yield batch
    ends = today + timedelta(days=BEFORE_END)
    async for batch in due_steps(server, "Task", "closes", ends, ends - grace):
        yield batch


async def _remind(server: Server, versions: list[StoredVersion], today: date) -> int:
    here, base = zone(server.settings.time_zone), server.settings.canonical_base
    drafts: list[tuple[StoredVersion, str, Draft]] = []
    for version in versions:
        task = content_of(version)
        day = reminder_due(task, today, here, base)
        if day is not None:
            made = reminder(task, day, base)
            drafts.append((version, task["for"]["reference"], prepare_for(server, made, made["id"])))
    drafts = await _not_too_many(server, drafts)
    if not drafts:
        return 0

    async def work(transaction: Transaction) -> int:
        keys = [("Task", version.logical_id) for version, _, _ in drafts]
        keys += [("Communication", draft.logical_id) for _, _, draft in drafts]
        current = await transaction.versions(keys)
        new = [
            (patient, draft)
            for version, patient, draft in drafts
            if current["Task", version.logical_id].seq == version.seq
            and ("Communication", draft.logical_id) not in current
        ]
        wanted = await _to_be_reminded(server, transaction, {patient for patient, _ in new})
        stored = [await transaction.put(draft) for patient, draft in new if patient in wanted]
        return len(stored)

    return await server.store.write(ALL, work)


async def _not_too_many(
    server: Server, drafts: list[tuple[StoredVersion, str, Draft]]
) -> list[tuple[StoredVersion, str, Draft]]:
    """Without those of steps that were reminded of as often as may be, before their window moved."""
    if not drafts:
        return []
    code = f"{server.settings.canonical_base}/CodeSystem/msk-communication-category|reminder"
    criteria = [("patient", ",".join(sorted({patient for _, patient, _ in drafts}))), ("category", code)]
    made: Counter[str] = Counter()
    page = await server.store.search(ALL, query_of(server, "Communication", criteria, _REMINDERS))
    for version in page.matches:
        made.update(str(one.get("reference")) for one in content_of(version).get("about", ()))
    return [one for one in drafts if made[f"Task/{one[0].logical_id}"] < MOST]


async def _to_be_reminded(server: Server, transaction: Transaction, patients: set[str]) -> set[str]:
    """Of `patients` (Patient/id) those who are alive and have not refused reminders, or the pathway as a whole."""
    if not patients:
        return set()
    keys = [("Patient", reference.removeprefix("Patient/")) for reference in sorted(patients)]
    there = await transaction.versions(keys, bodies=True)
    reachable = {f"Patient/{one.logical_id}" for one in there.values() if one.body and _is_reachable(content_of(one))}
    consents: dict[str, list[Json]] = {}
    criteria = [("patient", ",".join(sorted(patients))), ("status", "active")]
    for version in await found(server, transaction, "Consent", criteria, _CONSENTS):
        consent = content_of(version)
        consents.setdefault(consent["patient"]["reference"], []).append(consent)
    base, today, zone = server.settings.canonical_base, server.clock.today(), server.settings.time_zone
    return {
        patient
        for patient in reachable
        if not denied(consents.get(patient, ()), base, today, zone) & {PATHWAY, REMINDERS}
    }


def _is_reachable(patient: Json) -> bool:
    died = patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient
    return not died and patient.get("active") is not False
