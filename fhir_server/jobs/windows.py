"""Windows open and close: planned steps become available, and what a patient has not done in time is missed."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

from fhir_server.interactions.current_registry import with_current_registry
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.jobs.due import due_steps
from fhir_server.model.dates import zone
from fhir_server.operations.found import query_of
from fhir_server.operations.plans import finish_plan
from fhir_server.operations.stored import content_of
from fhir_server.pathways.steps import OPEN, plans_of
from fhir_server.pathways.windows import moved
from fhir_server.storage.base import Draft, StoredVersion, Transaction
from fhir_server.storage.scope import ALL

_MOST = 100_000
"""More than the open steps of one batch's plans."""


async def move_windows(server: Server, now: datetime) -> Counter[str]:
    """Move every step whose window has opened or closed by `now`; how many were given each status."""
    today = now.astimezone(zone(server.settings.time_zone)).date()
    done: Counter[str] = Counter()
    last = {"opens": today, "closes": today - timedelta(days=1)}
    for kind, code in (("Task", "opens"), ("ServiceRequest", "opens"), ("Task", "closes")):
        async for found in due_steps(server, kind, code, last[code]):
            versions = [one.version for one in found]

            async def attempt(versions: list[StoredVersion] = versions) -> Counter[str]:
                return await _move(server, versions, now)

            done += await with_current_registry(server, attempt)
            if code == "closes":
                await _finish(server, {plan for one in versions for plan in plans_of(content_of(one))})
    return done


async def _finish(server: Server, plans: set[str]) -> None:
    """Complete the plans of which the last open step was missed; the search leaves out those that go on."""
    criteria = [("based-on", ",".join(sorted(plans))), ("status", ",".join(sorted(OPEN)))]
    going_on: set[str] = set()
    if plans:
        for version in (await server.store.search(ALL, query_of(server, "Task", criteria, _MOST))).matches:
            going_on.update(plans_of(content_of(version)))

    async def work(transaction: Transaction) -> None:
        for reference in sorted(plans - going_on):
            plan = await transaction.current("CarePlan", reference.removeprefix("CarePlan/"))
            if plan is not None and plan.body is not None:
                await finish_plan(server, transaction, content_of(plan))

    if plans - going_on:
        await with_current_registry(server, lambda: server.store.write(ALL, work))


async def _move(server: Server, versions: list[StoredVersion], now: datetime) -> Counter[str]:
    """In one transaction. A step that somebody changes meanwhile is left to the next run."""
    here = zone(server.settings.time_zone)
    drafts: list[tuple[StoredVersion, str, Draft]] = []
    for version in versions:
        step = moved(content_of(version), now, here, server.settings.canonical_base)
        if step is not None:
            drafts.append((version, step["status"], prepare_for(server, step, version.logical_id)))
            await asyncio.sleep(0)  # a server's requests come between
    if not drafts:
        return Counter()

    async def work(transaction: Transaction) -> Counter[str]:
        current = await transaction.versions([(one.resource_type, one.logical_id) for one, _, _ in drafts])
        done: Counter[str] = Counter()
        for version, status, draft in drafts:
            if current[version.resource_type, version.logical_id].seq == version.seq:
                await transaction.put(draft)
                done[status] += 1
        return done

    return await server.store.write(ALL, work)
