"""What the step that a response answered knows of its scores: time-point, side and plan, where the response says none.

A score is read by them (`$score-history`, the conditions of pathways), and a client knows its step, not the pathway.
"""

from __future__ import annotations

from typing import Any, Protocol

from fhir_server.model.reference import parse_reference
from fhir_server.operations.stored import content_of
from fhir_server.pathways.step_outcome import outputs
from fhir_server.pathways.steps import plans_of
from fhir_server.storage.base import StoredVersion

Json = dict[str, Any]


class Reading(Protocol):
    """A Transaction, or a store that is read in a scope (`scorer.StoreReading`)."""

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None: ...


async def with_step(reading: Reading, response: Json, canonical_base: str) -> Json:
    """`response` with what its step knows; as it is when it names none (msk-task), or ended none."""
    base = f"{canonical_base}/StructureDefinition"
    named = _extension(response, f"{base}/msk-task").get("valueReference", {}).get("reference", "")
    step = await _read(reading, "Task", named) if "id" in response else None
    if step is None or f"QuestionnaireResponse/{response['id']}" not in outputs(step, "QuestionnaireResponse"):
        return response
    known = [step]
    for reference in plans_of(step)[:1]:
        plan = await _read(reading, "CarePlan", reference)
        if plan is not None:
            known.append(plan)
            response = {"basedOn": [{"reference": reference}], **response}
    added = [
        extension
        for url in (f"{base}/msk-timepoint", f"{base}/msk-laterality")
        if not _extension(response, url)
        for extension in (_extension(one, url) for one in known)
        if extension
    ]
    return {**response, "extension": [*response["extension"], *added]}


async def _read(reading: Reading, resource_type: str, reference: str) -> Json | None:
    parts = parse_reference(reference)
    if parts.resource_type != resource_type:
        return None
    version = await reading.current(resource_type, parts.logical_id)
    return content_of(version) if version is not None and version.body is not None else None


def _extension(resource: Json, url: str) -> Json:
    """The first extension with this url; empty when there is none."""
    return next((one for one in resource.get("extension", ()) if one["url"] == url), {})
