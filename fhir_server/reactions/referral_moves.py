"""A referral under way moves by its operations alone: a write that would change its state past them is refused."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.operations.referral_record import COORDINATE
from fhir_server.reactions.registry import Write

Json = dict[str, Any]

_HELD = {
    "ServiceRequest": ("status", "intent", "subject"),
    "Task": ("status", "businessStatus", "focus", "for", "code"),
}
"""What the state of a referral hangs on; everything else may be edited."""


async def hold_referral(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) naming the operations."""
    before = await write.before()
    if before is None or not _is_referral(before, write.server.settings.canonical_base):
        return []
    now = write.resource
    changed = [element for element in _HELD[now["resourceType"]] if before.get(element) != now.get(element)]
    base = write.server.settings.canonical_base
    if _state(before, base) != _state(now, base):
        changed.append("extension")
    if changed:
        kind = now["resourceType"]
        text = (
            f"{kind}/{now['id']} belongs to a referral under way, which moves by its operations ($start-triage, "
            "$triage, $book and so on): leave this as it is, or call the one that fits."
        )
        issues = [Issue("business-rule", text, f"{kind}.{element}") for element in changed]
        raise BusinessRule(text, issues=issues)
    return []


def _is_referral(resource: Json, base: str) -> bool:
    if resource["resourceType"] == "ServiceRequest":
        return _state(resource, base) is not None
    system = f"{base}/CodeSystem/msk-task-code"
    codings = resource.get("code", {}).get("coding", ())
    return any(one.get("system") == system and one.get("code") == COORDINATE for one in codings)


def _state(resource: Json, base: str) -> str | None:
    url = f"{base}/StructureDefinition/msk-referral-state"
    return next((one.get("valueCode") for one in resource.get("extension", ()) if one["url"] == url), None)
