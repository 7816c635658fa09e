"""What $score says of the safety alerts of a response: stored now, closed before, or standing.

Every write has stored them already (instruments/alerts.py); this catches up for a response whose questionnaire only
the caller names, and for one that was stored by an older release.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.errors import Issue
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.operations.found import found
from fhir_server.operations.stored import content_of
from fhir_server.storage.base import StoredVersion, Transaction

_MOST = 100
"""Alerts of one response that are looked at: one for each patient it was ever about."""


async def raise_alerts(server: Server, transaction: Transaction, response: dict[str, Any]) -> list[Issue]:
    """Store what is not here yet; what there is to say about all of them."""
    draft = prepare_for(server, dict(response), str(response["id"]))
    made = await transaction.put_companions(draft)
    raised = [(one.resource_type, one.logical_id) for one in draft.companions if one.resource_type == "Flag"]
    earlier = await _earlier_flags(server, transaction, draft.logical_id)
    known = await transaction.versions([*raised, *earlier], bodies=True)
    told = [_issue("information", f"The alert was stored as {_name(version)}.") for version in made]
    told += [
        _issue("warning", f"{_name(version)} was closed or deleted; it is not opened again.")
        for key, version in known.items()
        if key in raised and not _is_active(version)
    ]
    return [*told, *_standing(version for key, version in known.items() if key not in raised)]


async def _earlier_flags(server: Server, transaction: Transaction, response_id: str) -> list[tuple[str, str]]:
    """Those that the safety Tasks of the response name, whoever it was about then."""
    base = server.settings.canonical_base
    criteria = [
        ("focus", f"QuestionnaireResponse/{response_id}"),
        ("code", f"{base}/CodeSystem/msk-task-code|safety-review"),
    ]
    tasks = [content_of(version) for version in await found(server, transaction, "Task", criteria, _MOST)]
    flags = (str(task.get("reasonReference", {}).get("reference", "")).partition("/") for task in tasks)
    return [(kind, logical_id) for kind, _, logical_id in flags if kind == "Flag"]


def _standing(flags: Iterable[StoredVersion]) -> list[Issue]:
    return [
        _issue("warning", f"{_name(version)} on {patient} stands: only a clinician closes it.")
        for version in flags
        if _is_active(version) and (patient := content_of(version)["subject"].get("reference", "?"))
    ]


def _issue(severity: str, text: str) -> Issue:
    code = "informational" if severity == "information" else "business-rule"
    return Issue(code, text, None, severity)


def _name(version: StoredVersion) -> str:
    return f"{version.resource_type}/{version.logical_id}"


def _is_active(version: StoredVersion) -> bool:
    return version.body is not None and content_of(version).get("status") == "active"
