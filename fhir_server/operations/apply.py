"""PlanDefinition $apply: from a pathway and a patient to a stored CarePlan with its steps, in one transaction.

R4 plandefinition-operation-apply.html; how this differs from it: docs/spec-clarifications/apply.md.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from fhir_server.errors import BusinessRule
from fhir_server.interactions.answer import location, version_headers
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Response
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.logical_id import new_id
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of, current
from fhir_server.pathways.apply import RECEIVED, Context, apply_pathway
from fhir_server.pathways.definition import Pathway, read_pathway
from fhir_server.search.definitions import definitions
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import Query, TextIn
from fhir_server.storage.rows import cut

ANCHORS = (RECEIVED, "accepted", "improving", "not-improving", "listed", "operation")
"""Parameters that date an anchor event (CodeSystem msk-anchor)."""

_TARGETS = {
    "subject": ("Patient",),
    "encounter": ("Encounter",),
    "practitioner": ("Practitioner", "PractitionerRole"),
    "organization": ("Organization",),
}


async def apply(call: OperationRequest) -> Response:
    """Raises BusinessRule (422) for a plan or a patient it cannot be applied to, ResourceNotFound, ResourceGone."""
    assert call.logical_id is not None
    plan = await current(call, "PlanDefinition", call.logical_id)
    pathway = read_pathway(plan, call.server.settings.canonical_base)
    subject = _reference(call, "subject")
    assert subject is not None
    patient = await _patient(call, subject)
    context = _context(call, subject, patient, pathway)
    applied = apply_pathway(pathway, await _activities(call, pathway), context)
    resources = [applied.care_plan, *applied.steps]
    drafts = [prepare_for(call.server, resource, resource["id"], fresh=True) for resource in resources]
    made = frozenset(f"{draft.resource_type}/{draft.logical_id}" for draft in drafts)

    async def work(transaction: Transaction) -> StoredVersion:
        for resource in resources:
            await check_references(call.server, transaction, resource, made)
        stored = [await transaction.put(draft) for draft in drafts]
        return stored[0]

    care_plan = await call.server.store.write(call.scope, work)
    headers = {**version_headers(care_plan), "Location": location(call.request, care_plan)}
    return Response(201, care_plan.body or b"", headers)


def _context(call: OperationRequest, subject: str, patient: dict[str, Any], pathway: Pathway) -> Context:
    settings = call.server.settings
    now = call.server.clock.now()
    anchors = {event: _day(call, event) for event in ANCHORS if call.one(event) is not None}
    if RECEIVED in pathway.events:
        anchors = {RECEIVED: now.date(), **anchors}
    return Context(
        subject=subject,
        anchors=anchors,
        now=now,
        new_id=new_id,
        canonical_base=settings.canonical_base,
        encounter=_reference(call, "encounter"),
        practitioner=_reference(call, "practitioner"),
        organization=_reference(call, "organization"),
        born=patient.get("birthDate"),
    )


def _day(call: OperationRequest, event: str) -> date:
    text = str(call.one(event))
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BusinessRule(
            f"{event} must be a whole date (YYYY-MM-DD) to count from, not {text!r}.",
            code="value",
            expression=_expression(event),
        ) from error


def _reference(call: OperationRequest, name: str) -> str | None:
    """The parameter as `Type/id`, of a type it may have; an absolute reference to this server is its own."""
    value = call.one(name)
    if value is None:
        return None
    local = str(value).removeprefix(f"{call.request.base_url}/")
    resource_type, _, logical_id = local.partition("/")
    if resource_type not in _TARGETS[name] or not logical_id or "/" in logical_id:
        raise BusinessRule(
            f"{name} must be a reference {' or '.join(f'{target}/[id]' for target in _TARGETS[name])}, not {value!r}.",
            code="value",
            expression=_expression(name),
        )
    return local


def _expression(name: str) -> str:
    return f"Parameters.parameter.where(name='{name}').value"


async def _patient(call: OperationRequest, subject: str) -> dict[str, Any]:
    """The patient, whom a plan can be made for."""
    stored = await call.server.store.read(call.scope, "Patient", subject.partition("/")[2])
    if stored is None or stored.body is None:
        raise BusinessRule(f"There is no {subject}.", code="not-found", expression=_expression("subject"))
    patient = content_of(stored)
    if patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient:
        raise BusinessRule(f"{subject} has died: no plan is made.", expression=_expression("subject"))
    if patient.get("active") is False:
        raise BusinessRule(f"{subject} is not active: no plan is made.", expression=_expression("subject"))
    return patient


async def _activities(call: OperationRequest, pathway: Pathway) -> dict[str, dict[str, Any]]:
    """The ActivityDefinitions of the pathway that are stored, by canonical and active ones first, in one search."""
    urls = {cut(step.activity.partition("|")[0]) for step in pathway.steps}
    (source,) = definitions("ActivityDefinition")["url"].sources
    query = Query("ActivityDefinition", (TextIn(source.p, tuple(sorted(urls))),), count=1000)
    found: dict[str, dict[str, Any]] = {}
    page = await call.server.store.search(call.scope, query)
    for version in page.matches:
        activity = content_of(version)
        canonical = f"{activity['url']}|{activity.get('version', '')}"
        if found.get(canonical, {}).get("status") != "active":
            found[canonical] = activity
    return found
