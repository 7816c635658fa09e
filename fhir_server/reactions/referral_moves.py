"""A referral under way moves by its operations alone: a write that would change its state past them is refused."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.operations.found import found
from fhir_server.operations.referral_record import COORDINATE
from fhir_server.operations.stored import content_of
from fhir_server.reactions.registry import Write

Json = dict[str, Any]

_HELD = {
    "ServiceRequest": ("status", "intent", "subject"),
    "Task": ("status", "businessStatus", "focus", "for", "code"),
    "EpisodeOfCare": ("status", "statusHistory", "patient", "referralRequest"),
}
"""What the state of a referral hangs on; everything else may be edited."""
_HELD_EXTENSIONS = {
    "ServiceRequest": ("msk-referral-state",),
    "EpisodeOfCare": ("msk-rtt", "msk-rtt-event"),
}


async def hold_referral(write: Write) -> list[Issue]:
    """Raises BusinessRule (422) naming the operations."""
    before = await write.before()
    now = write.resource
    kind = now["resourceType"]
    if before is None or not is_referral(before, write.canonical_base):
        await _refuse_second(write)
        return []
    changed = [element for element in _HELD[kind] if before.get(element) != now.get(element)]
    if _stated(before, write.canonical_base) != _stated(now, write.canonical_base):
        changed.append("extension")
    if changed:
        text = (
            f"{kind}/{now['id']} belongs to a referral under way, which moves by its operations ($start-triage, "
            "$triage, $book and so on): leave this as it is, or call the one that fits."
        )
        issues = [Issue("business-rule", text, f"{kind}.{element}") for element in changed]
        raise BusinessRule(text, issues=issues)
    return []


async def _refuse_second(write: Write) -> None:
    """A referral has one coordinating Task and one episode: of two, no move could tell which one counts."""
    now = write.resource
    if now["resourceType"] == "Task" and _coordinates(now, write.canonical_base):
        place = "focus"
        code = f"{write.canonical_base}/CodeSystem/msk-task-code|{COORDINATE}"
        criteria = [("code", code)]
    elif now["resourceType"] == "EpisodeOfCare":
        place, criteria = "referralRequest", []
    else:
        return
    parameter = "focus" if place == "focus" else "incoming-referral"
    for reference in referrals_of(now):
        if not await _under_way(write, reference):
            continue
        matches = await found(
            write.server, write.transaction, now["resourceType"], [(parameter, reference), *criteria], 2
        )
        if any(match.logical_id != now["id"] for match in matches):
            text = f"{reference} has its {now['resourceType']} already: a referral has one, which $submit makes."
            raise BusinessRule(text, expression=f"{now['resourceType']}.{place}")


async def _under_way(write: Write, reference: str) -> bool:
    kind, _, logical_id = reference.partition("/")
    if kind != "ServiceRequest" or not logical_id:
        return False
    stored = await write.transaction.current(kind, logical_id)
    return stored is not None and stored.body is not None and is_referral(content_of(stored), write.canonical_base)


def referrals_of(resource: Json) -> list[str]:
    """The referrals that the Task, the episode or the ServiceRequest itself is of, as `ServiceRequest/id`."""
    match resource["resourceType"]:
        case "Task":
            named = [resource.get("focus", {})]
        case "EpisodeOfCare":
            named = resource.get("referralRequest", [])
        case _:
            return [f"ServiceRequest/{resource['id']}"]
    return [str(one.get("reference", "")) for one in named]


def is_referral(resource: Json, base: str) -> bool:
    """Whether a referral's state hangs on it."""
    if resource["resourceType"] == "Task":
        return _coordinates(resource, base)
    return bool(_stated(resource, base))


def state_of(request: Json, base: str) -> str | None:
    """The state that the ServiceRequest of a referral says it is in."""
    return next((one.get("valueCode") for one in _stated(request, base)), None)


def _coordinates(task: Json, base: str) -> bool:
    system = f"{base}/CodeSystem/msk-task-code"
    codings = task.get("code", {}).get("coding", ())
    return any(one.get("system") == system and one.get("code") == COORDINATE for one in codings)


def _stated(resource: Json, base: str) -> list[Json]:
    """The extensions that say where the referral stands, in order."""
    urls = [f"{base}/StructureDefinition/{name}" for name in _HELD_EXTENSIONS.get(resource["resourceType"], ())]
    return [one for one in resource.get("extension", ()) if one["url"] in urls]
