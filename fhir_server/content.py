"""Loads the shipped content (profiles, questionnaires, pathways, terminology) and the demo patients.

Shipped resources carry a tag with the fingerprint of what was shipped. A stored version whose content still has
that fingerprint is ours and is brought up to date; any other version, or a deletion, is a local edit and is left
alone (docs/content.md).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import structlog

from fhir_server import content_files
from fhir_server.demo import FIRST_PATIENT, demo_resources
from fhir_server.errors import Conflict
from fhir_server.interactions.current_registry import refresh, with_current_registry
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.model.json import parse
from fhir_server.storage.base import Draft, StoredVersion, Transaction
from fhir_server.storage.scope import ALL

FILES = ("profiles/**/*.json", "terminology/*.json", "questionnaires/*/questionnaire.json")
"""Where the resources are, below the content root."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ContentLoad:
    """What a load did, in resources."""

    created: int
    updated: int
    unchanged: int
    local: int
    """Left alone because somebody edited or deleted them here."""
    refused: int = 0
    """Search parameters left out because one of yours has the code."""


async def load_content(server: Server) -> ContentLoad:
    """Store the shipped content that is missing or out of date.

    Search parameters go first, so that what follows has its index rows; all else is one transaction.
    """
    shipped = shipped_resources(server.settings.canonical_base)
    states = [await _state_of(server, resource) for resource in shipped]
    pending = [resource for resource, state in zip(shipped, states, strict=True) if state in ("missing", "outdated")]
    parameters = [resource for resource in pending if resource["resourceType"] == "SearchParameter"]
    refused = await _write_parameters(server, parameters) if parameters else []
    if others := [resource for resource in pending if resource["resourceType"] != "SearchParameter"]:
        await with_current_registry(server, lambda: _write(server, others))
    lost = [state for resource, state in zip(shipped, states, strict=True) if resource in refused]
    return ContentLoad(
        created=states.count("missing") - lost.count("missing"),
        updated=states.count("outdated") - lost.count("outdated"),
        unchanged=states.count("current"),
        local=states.count("local"),
        refused=len(refused),
    )


async def _write_parameters(server: Server, resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Store them together, and, when one is refused, each by itself; those whose code is taken."""
    try:
        await with_current_registry(server, lambda: _write(server, resources))
    except Conflict as conflict:
        if len(resources) > 1:
            return [refused for one in resources for refused in await _write_parameters(server, [one])]
        _log.warning("search parameter left out", parameter=resources[0]["id"], reason=str(conflict))
        return resources
    await refresh(server)
    return []


async def load_demo(server: Server) -> int:
    """Store the demo patients with their referrals, plans, answers and scores; how many resources were stored.

    They come from the shipped pathway and instruments; the safety alerts of the answers are not counted. Nothing is
    done when the first of them is or was there.
    """
    if await server.store.read(ALL, "Patient", FIRST_PATIENT) is not None:
        return 0
    base = server.settings.canonical_base
    resources = demo_resources(shipped_resources(base), base, server.settings.time_zone)
    await with_current_registry(server, lambda: _write_new(server, resources))
    return len(resources)


def shipped_resources(canonical_base: str) -> list[dict[str, Any]]:
    """Every shipped resource under `canonical_base`, tagged with its fingerprint."""
    return [_tagged(resource, canonical_base) for resource in _read_files(canonical_base)]


def fingerprint(resource: dict[str, Any]) -> str:
    """Equal for equal content: everything but meta, whatever the order of the keys."""
    content = {element: value for element, value in resource.items() if element != "meta"}
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _read_files(canonical_base: str) -> Iterator[dict[str, Any]]:
    root = content_files.root()
    for pattern in FILES:
        for path in sorted(root.glob(pattern)):
            text = path.read_text(encoding="utf-8").replace(content_files.SHIPPED_BASE, canonical_base)
            yield parse(text.encode(), max_depth=sys.maxsize)


def _tagged(resource: dict[str, Any], canonical_base: str) -> dict[str, Any]:
    tag = {"system": _tag_system(canonical_base), "code": fingerprint(resource)}
    return {"resourceType": resource["resourceType"], "id": resource["id"], "meta": {"tag": [tag]}, **resource}


def _tag_system(canonical_base: str) -> str:
    return f"{canonical_base}/shipped-content"


def _shipped_fingerprint(resource: dict[str, Any]) -> str | None:
    for tag in resource.get("meta", {}).get("tag", []):
        if str(tag.get("system", "")).endswith("/shipped-content"):
            return str(tag.get("code"))
    return None


async def _state_of(server: Server, shipped: dict[str, Any]) -> str:
    return _state(await server.store.read(ALL, shipped["resourceType"], shipped["id"]), shipped)


def _state(stored: StoredVersion | None, shipped: dict[str, Any]) -> str:
    """missing, current, outdated (ours, but of another release) or local."""
    if stored is None:
        return "missing"
    if stored.body is None:
        return "local"
    content = parse(stored.body, max_depth=sys.maxsize)
    was_shipped = _shipped_fingerprint(content)
    if was_shipped is None or was_shipped != fingerprint(content):
        return "local"
    return "current" if was_shipped == _shipped_fingerprint(shipped) else "outdated"


async def _write(server: Server, resources: list[dict[str, Any]]) -> None:
    """Decide again inside the transaction: another worker or a client may have come first."""
    drafts = [(resource, prepare_for(server, resource, resource["id"])) for resource in resources]

    async def work(transaction: Transaction) -> None:
        for resource, draft in drafts:
            stored = await transaction.current(draft.resource_type, draft.logical_id)
            if _state(stored, resource) in ("missing", "outdated"):
                await transaction.put(draft)

    await server.store.write(ALL, work)


async def _write_new(server: Server, resources: Iterable[dict[str, Any]]) -> None:
    drafts: list[Draft] = [prepare_for(server, resource, resource["id"]) for resource in resources]

    async def work(transaction: Transaction) -> None:
        present = await transaction.versions([(draft.resource_type, draft.logical_id) for draft in drafts])
        for draft in drafts:
            if (draft.resource_type, draft.logical_id) not in present:
                await transaction.put(draft)

    await server.store.write(ALL, work)
