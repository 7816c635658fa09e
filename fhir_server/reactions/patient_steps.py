"""Steps of a patient in the transaction of a write: found, kept as they are now, and what follows for their plans."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.interactions.draft import prepare_for
from fhir_server.model.reference import parse_reference
from fhir_server.operations.found import found
from fhir_server.operations.plans import settle_plan
from fhir_server.operations.stored import content_of
from fhir_server.pathways.steps import UNDER_WAY, plans_of
from fhir_server.reactions.registry import Write

Json = dict[str, Any]

_MOST = 1000
"""More than the steps of one patient that are open, or done."""


async def read(write: Write, reference: str) -> Json | None:
    """The resource of this server that `reference` names, if it is there."""
    parts = parse_reference(reference)
    if not parts.is_local:
        return None
    version = await write.transaction.current(parts.resource_type, parts.logical_id)
    return content_of(version) if version is not None and version.body is not None else None


async def named_task(write: Write, reference: str, place: str) -> Json:
    """The Task that the client names at `place`. Raises BusinessRule (422) when it is not here."""
    task = await read(write, reference) if reference.startswith("Task/") else None
    if task is None:
        raise BusinessRule(f"There is no {reference[:200] or 'Task'}.", code="not-found", expression=place)
    return task


async def open_tasks(write: Write, patient: str, canonicals: Collection[str]) -> list[Json]:
    """Tasks for `patient` (Patient/id) that may still be done, of those that name one of `canonicals`.

    Their bytes are asked for the urls, as they stand in them: parsing every open step took most of the time.
    """
    urls = [canonical.partition("|")[0].encode() for canonical in canonicals]
    criteria = [("patient", patient), ("status", ",".join(sorted(UNDER_WAY)))]
    tasks = await found(write.server, write.transaction, "Task", criteria, _MOST)
    return [content_of(one) for one in tasks if one.body is not None and any(url in one.body for url in urls)]


async def task_with_output(write: Write, patient: str) -> Json | None:
    """The Task for `patient` whose output is what was written."""
    reference = f"{write.version.resource_type}/{write.version.logical_id}"
    # The parameter is of the shipped content, which a server may have been started without.
    indexed = "output" in write.server.registry.definitions("Task")
    narrowed = [("output", reference)] if indexed else [("patient", patient), ("status", "completed,failed")]
    for version in await found(write.server, write.transaction, "Task", narrowed, _MOST):
        task = content_of(version)
        if any(one.get("valueReference", {}).get("reference") == reference for one in task.get("output", ())):
            return task
    return None


async def put_task(write: Write, task: Json) -> None:
    await write.transaction.put(prepare_for(write.server, task, task["id"]))


async def settle(write: Write, step: Json, *, again: bool = False) -> list[Issue]:
    """Date the other steps of the plans that `step` ended in, and look at conditions that were open.

    `again`: what it was done by has changed, so that what was decided is decided again.
    """
    issues: list[Issue] = []
    for reference in plans_of(step):
        plan = await read(write, reference)
        if plan is None:
            continue
        if plan["status"] == "active":
            name = f"{step['resourceType']}/{step['id']}"
            reason = f"The answers of {name} have changed." if again else f"{name} is {step['status']}."
            settled = await settle_plan(write.server, write.transaction, plan, again=again, reason=reason)
            issues += settled.issues
        elif again:
            text = f"{reference} is {plan['status']}: what the answers decided in it is not decided again."
            issues.append(warning(text))
    return issues


def warning(text: str) -> Issue:
    return Issue("business-rule", text, None, "warning")
