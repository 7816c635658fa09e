"""Plans in the store: made of a pathway, written whole, and settled again when an event moves or a step ends.

`$apply`, `$replan`, `$triage` and the reactions to what patients do all come here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from fhir_server.errors import BusinessRule, Issue
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.logical_id import new_id
from fhir_server.operations.plans_definitions import activities_of, named_definition, parsed, pathway_of
from fhir_server.operations.plans_facts import judge_for
from fhir_server.operations.plans_parameters import LATERALITIES, expression
from fhir_server.operations.plans_provenance import provenance
from fhir_server.operations.plans_stored import (
    anchor_days,
    living_patient,
    local,
    open_steps,
    own_referral,
    referral_day,
    referral_of,
    refuse_overlap,
    refuse_stood_down,
    side_of,
    steps_of,
)
from fhir_server.operations.stored import content_of, put_json
from fhir_server.pathways.apply import (
    RECEIVED,
    AppliedPlan,
    apply_pathway,
    check_anchors,
    condition_failed,
    with_activities,
    with_anchors,
)
from fhir_server.pathways.apply_steps import Context, step_resource
from fhir_server.pathways.definition import Pathway
from fhir_server.pathways.definition_reading import check_active
from fhir_server.pathways.replan import Moment, is_open, replan
from fhir_server.storage.base import Draft, SearchPage, StoredVersion, Transaction
from fhir_server.storage.query import Query

__all__ = ["Applying", "Settled", "drafts_of", "named_definition", "plan_for", "put_plan", "settle_plan"]

Json = dict[str, Any]


class Reader(Protocol):
    """A Transaction, or a store that is read in a scope (`scorer.StoreReading`)."""

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None: ...

    async def search(self, query: Query) -> SearchPage: ...

    async def search_all(self, queries: Sequence[Query]) -> SearchPage: ...


@dataclass(frozen=True, slots=True)
class Applying:
    """Who a pathway is applied to, and since when; references are `Type/id`."""

    subject: str
    anchors: dict[str, date] = field(default_factory=dict)
    encounter: str | None = None
    practitioner: str | None = None
    organization: str | None = None
    referral: str | None = None
    laterality: str | None = None


@dataclass(slots=True)
class Settled:
    """What came of settling a plan."""

    changed: list[Json] = field(default_factory=list)
    """As stored now: steps, and the CarePlan where its anchors moved."""
    issues: list[Issue] = field(default_factory=list)
    """For people to look at."""


async def plan_for(server: Server, reader: Reader, definition: StoredVersion, applying: Applying) -> AppliedPlan:
    """The plan that the PlanDefinition makes, not stored yet.

    Raises BusinessRule (422) for a definition or a patient it cannot be made for, and for days that cannot be.
    """
    check_active(parsed(definition))
    pathway = await pathway_of(server, reader, definition)
    if pathway.one_sided and applying.laterality is None:
        text = f"A plan of {pathway.canonical} is of one side: say which, {', '.join(LATERALITIES)}."
        raise BusinessRule(text, code="required", expression=expression("laterality"))
    patient = await living_patient(reader, applying.subject, expression("subject"))
    referred = None
    if applying.referral is not None:
        referred = referral_day(server, await own_referral(reader, applying.referral, applying.subject))
    now = server.clock.now()
    anchors = applying.anchors
    if RECEIVED in pathway.events:
        anchors = {RECEIVED: referred or now.date(), **anchors}
    context = Context(
        subject=applying.subject,
        anchors=anchors,
        now=now,
        new_id=new_id,
        canonical_base=server.settings.canonical_base,
        encounter=applying.encounter,
        practitioner=applying.practitioner,
        organization=applying.organization,
        born=patient.get("birthDate"),
        referral=applying.referral,
        referred=referred,
        laterality=applying.laterality,
    )
    activities = await activities_of(reader, pathway)
    judge = await judge_for(
        server, reader, pathway.expressions, patient, referral=applying.referral, laterality=applying.laterality
    )
    return apply_pathway(pathway, activities, context, judge)


def drafts_of(server: Server, applied: AppliedPlan) -> list[Draft]:
    """Of the CarePlan, its goals and its steps; made outside the writer where that can be."""
    return [prepare_for(server, resource, resource["id"], fresh=True) for resource in applied.resources]


async def put_plan(
    server: Server, transaction: Transaction, applied: AppliedPlan, drafts: list[Draft] | None = None
) -> StoredVersion:
    """Store the plan, its goals and its steps; the CarePlan as stored.

    Raises BusinessRule (422) when the patient has an active plan of the pathway for the same side, has died or has left
    the digital pathway.
    """
    await refuse_stood_down(server, transaction, applied.care_plan["subject"]["reference"])
    await refuse_overlap(server, transaction, applied.care_plan, applied.pathway.url)
    if server.settings.enforce_references:
        made = frozenset(f"{resource['resourceType']}/{resource['id']}" for resource in applied.resources)
        for resource in applied.resources:
            await check_references(server, transaction, resource, made)
    stored = [await transaction.put(draft) for draft in drafts or drafts_of(server, applied)]
    return stored[0]


async def settle_plan(
    server: Server,
    transaction: Transaction,
    care_plan: Json,
    *,
    anchors: Mapping[str, date | None] | None = None,
    again: bool = False,
    reason: str,
) -> Settled:
    """Resolve the plan's open steps again: `anchors` moves events (None: it did not happen), `again` decides anew what
    was decided by answers that have changed. Steps that had fallen away and are due after all are made once more.

    One Provenance names all that changed. Raises BusinessRule (422) for anchors that cannot be, and for anchors of a
    plan whose PlanDefinition is not here; without anchors such a plan is left as it is, which an issue says.
    """
    settled = Settled()
    pathway = await _pathway(server, transaction, care_plan, settled, required=bool(anchors))
    if pathway is None:
        return settled
    base = server.settings.canonical_base
    patient = await _patient(transaction, care_plan)
    days = anchor_days(care_plan, base)
    newer = care_plan
    if anchors:
        days = {event: day for event, day in {**days, **anchors}.items() if day is not None}
        check_anchors(
            pathway,
            days,
            given=anchors,
            born=patient.get("birthDate"),
            referred=await _referred(server, transaction, care_plan),
        )
        newer = with_anchors(care_plan, days, base)
    steps = await steps_of(transaction, care_plan, base)
    judge = await judge_for(
        server,
        transaction,
        pathway.expressions,
        patient,
        referral=referral_of(care_plan),
        laterality=side_of(care_plan, base),
    )
    replanned = replan(pathway, steps, days, Moment(server.clock.now(), base), judge, again=again)
    settled.issues += replanned.issues
    made: list[Json] = []
    if replanned.anew:
        context = await _context(server, transaction, care_plan, patient, days)
        activities = await activities_of(transaction, pathway)
        for step, outcome in replanned.anew:
            activity = activities.get(step.activity)
            if activity is None:
                text = f"{step.title} is to be done after all, and cannot be made: there is no {step.activity}."
                settled.issues.append(Issue("not-found", text, None, "warning"))
                continue
            resource, fault = step_resource(step, activity, outcome, care_plan["id"], context)
            made.append(resource)
            if fault is not None:
                settled.issues.append(condition_failed(step, resource, fault))
        newer = with_activities(newer, made) if made else newer
    plans = [newer] if newer != care_plan else []
    for resource in [*plans, *replanned.changed, *made]:
        settled.changed.append(content_of(await transaction.put(prepare_for(server, resource, resource["id"]))))
    settled.changed += await _finish(server, transaction, care_plan, steps, settled.changed)
    if settled.changed:
        why = provenance(settled.changed, reason, transaction.last_updated)
        await transaction.put(prepare_for(server, why, why["id"], fresh=True))
    return settled


async def finish_plan(server: Server, transaction: Transaction, care_plan: Json) -> list[Json]:
    """Complete `care_plan` when it is active and nothing of it is open; what changed, as stored."""
    if care_plan["status"] != "active" or await open_steps(transaction, care_plan):
        return []
    return [await put_json(server, transaction, {**care_plan, "status": "completed"})]


async def _finish(
    server: Server, transaction: Transaction, care_plan: Json, steps: Mapping[str, Json], changed: list[Json]
) -> list[Json]:
    """`finish_plan` where no step that is known already is open: mostly one is, and nothing has to be read."""
    now = {(one["resourceType"], one["id"]): one for one in (care_plan, *steps.values(), *changed)}
    plan = now.pop(("CarePlan", care_plan["id"]))
    return [] if any(map(is_open, now.values())) else await finish_plan(server, transaction, plan)


async def _pathway(
    server: Server, reader: Reader, care_plan: Json, settled: Settled, *, required: bool
) -> Pathway | None:
    """The pathway as it was when the plan was made, whatever its status is now."""
    for canonical in care_plan.get("instantiatesCanonical", ()):
        try:
            definition = await named_definition(reader, canonical, "CarePlan.instantiatesCanonical")
            return await pathway_of(server, reader, definition)
        except BusinessRule as error:
            if required:
                raise
            settled.issues += [Issue(one.code, one.diagnostics, None, "warning") for one in error.issues]
    if required:
        raise BusinessRule(
            "The plan does not say which PlanDefinition it was made from, so its steps cannot be dated.",
            expression="CarePlan.instantiatesCanonical",
        )
    return None


async def _patient(reader: Reader, care_plan: Json) -> Json:
    """As far as is known: the plan may be of somebody who is not here."""
    subject = care_plan["subject"].get("reference", "")
    stored = await reader.current(*local(subject)) if subject.startswith("Patient/") else None
    if stored is None or stored.body is None:
        return {"resourceType": "Patient", "id": local(subject)[1]}
    return content_of(stored)


async def _referred(server: Server, reader: Reader, care_plan: Json) -> date | None:
    """The day of the plan's referral, as far as it is known."""
    reference = referral_of(care_plan)
    stored = None if reference is None else await reader.current(*local(reference))
    return None if stored is None or stored.body is None else referral_day(server, content_of(stored))


async def _context(server: Server, reader: Reader, care_plan: Json, patient: Json, anchors: dict[str, date]) -> Context:
    """What a stored plan was made for, to make more steps of it."""
    base = server.settings.canonical_base
    author = care_plan.get("author", {}).get("reference", "")
    return Context(
        subject=care_plan["subject"]["reference"],
        anchors=anchors,
        now=server.clock.now(),
        new_id=new_id,
        canonical_base=base,
        encounter=care_plan.get("encounter", {}).get("reference"),
        practitioner=author or None,
        born=patient.get("birthDate"),
        referral=referral_of(care_plan),
        referred=await _referred(server, reader, care_plan),
        laterality=side_of(care_plan, base),
    )
