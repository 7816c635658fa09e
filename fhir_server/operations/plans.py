"""Plans in the store: made of a pathway, written whole, and settled again when an event moves or a step ends.

`$apply`, `$replan`, `$triage` and the reactions to what patients do all come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from fhir_server.errors import BusinessRule, Issue
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.logical_id import new_id
from fhir_server.model.dates import zone
from fhir_server.operations.found import found
from fhir_server.operations.plans_parameters import expression
from fhir_server.operations.plans_provenance import provenance
from fhir_server.operations.stored import content_of
from fhir_server.pathways.apply import RECEIVED, AppliedPlan, apply_pathway, check_anchors, with_anchors
from fhir_server.pathways.apply_steps import Context
from fhir_server.pathways.definition import Pathway, check_active, read_pathway
from fhir_server.pathways.replan import Moment, action_of, day_of, replan
from fhir_server.search.definitions import definitions
from fhir_server.storage.base import Draft, SearchPage, StoredVersion, Transaction
from fhir_server.storage.query import Query, TextIn
from fhir_server.storage.rows import cut

Json = dict[str, Any]

_PLANS = 1000
"""More than one patient's active plans."""


class Reader(Protocol):
    """A Transaction, or a store that is read in a scope (`scorer.StoreReading`)."""

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None: ...

    async def search(self, query: Query) -> SearchPage: ...


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


async def named_definition(reader: Reader, canonical: str, place: str) -> Json:
    """The PlanDefinition `url|version`; raises BusinessRule (422) at `place` when it is not here."""
    url, _, version = canonical.partition("|")
    if not version:
        raise BusinessRule(
            f"{canonical} needs the version of the PlanDefinition: [url]|[version].", code="value", expression=place
        )
    stored = await _stored(reader, "PlanDefinition", [url])
    candidates = [plan for plan in stored if plan.get("version") == version]
    candidates.sort(key=lambda plan: plan.get("status") != "active")
    if not candidates:
        here = ", ".join(sorted(plan["version"] for plan in stored if "version" in plan)) or "none"
        raise BusinessRule(
            f"There is no PlanDefinition {canonical}. Versions that are here: {here}.",
            code="not-found",
            expression=place,
        )
    return candidates[0]


async def plan_for(server: Server, reader: Reader, plan_definition: Json, applying: Applying) -> AppliedPlan:
    """The plan, not stored yet.

    Raises BusinessRule (422) for a definition or a patient it cannot be made for, and for days that cannot be.
    """
    check_active(plan_definition)
    pathway = read_pathway(plan_definition, server.settings.canonical_base)
    patient = await _patient(reader, applying.subject)
    referred = await _referred(server, reader, applying)
    today = server.clock.now()
    anchors = applying.anchors
    if RECEIVED in pathway.events:
        anchors = {RECEIVED: referred or today.date(), **anchors}
    context = Context(
        subject=applying.subject,
        anchors=anchors,
        now=today,
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
    return apply_pathway(pathway, await _activities(reader, pathway), context)


def drafts_of(server: Server, applied: AppliedPlan) -> list[Draft]:
    """Of the CarePlan and its steps; made outside the writer where that can be."""
    resources = (applied.care_plan, *applied.steps)
    return [prepare_for(server, resource, resource["id"], fresh=True) for resource in resources]


async def put_plan(
    server: Server, transaction: Transaction, applied: AppliedPlan, drafts: list[Draft] | None = None
) -> StoredVersion:
    """Store the plan and its steps; the CarePlan as stored.

    Raises BusinessRule (422) when the patient has an active plan of the pathway for the same side.
    """
    await _refuse_overlap(server, transaction, applied)
    if server.settings.enforce_references:
        resources = (applied.care_plan, *applied.steps)
        made = frozenset(f"{resource['resourceType']}/{resource['id']}" for resource in resources)
        for resource in resources:
            await check_references(server, transaction, resource, made)
    stored = [await transaction.put(draft) for draft in drafts or drafts_of(server, applied)]
    return stored[0]


async def settle_plan(
    server: Server,
    transaction: Transaction,
    care_plan: Json,
    *,
    anchors: Mapping[str, date | None] | None = None,
    ended: Mapping[str, date] | None = None,
    reason: str,
) -> Settled:
    """Resolve the plan's open steps again: `anchors` moves events (None: it did not happen), `ended` says which
    actions (msk-step-action) are done since when; a step stored as done is known by itself.

    One Provenance names all that changed. Raises BusinessRule (422) for anchors that cannot be, and for anchors of a
    plan whose PlanDefinition is not here; without anchors such a plan is left as it is, which an issue says.
    """
    settled = Settled()
    pathway = await _pathway_of(server, transaction, care_plan, settled, required=bool(anchors))
    if pathway is None:
        return settled
    moment = Moment(server.clock.now(), server.settings.canonical_base)
    days = _anchor_days(care_plan, server.settings.canonical_base)
    changed: list[Json] = []
    if anchors:
        moved = {**days, **anchors}
        days = {event: day for event, day in moved.items() if day is not None}
        await _check_moved(
            server, transaction, care_plan, pathway, {e: d for e, d in days.items() if e in anchors}, days
        )
        newer = with_anchors(care_plan, days, server.settings.canonical_base)
        if newer != care_plan:
            changed.append(newer)
    steps = await _steps(transaction, care_plan, server.settings.canonical_base)
    replanned = replan(pathway, steps, days, moment, ended=ended)
    changed += replanned.changed
    settled.issues += [Issue("business-rule", note, None, "warning") for note in replanned.notes]
    for resource in changed:
        draft = prepare_for(server, resource, resource["id"])
        settled.changed.append(content_of(await transaction.put(draft)))
    if settled.changed:
        why = provenance(settled.changed, reason, transaction.last_updated)
        await transaction.put(prepare_for(server, why, why["id"], fresh=True))
    return settled


async def _check_moved(
    server: Server,
    reader: Reader,
    care_plan: Json,
    pathway: Pathway,
    given: dict[str, date],
    days: dict[str, date],
) -> None:
    patient = await reader.current(*_local(care_plan["subject"]["reference"]))
    born = content_of(patient).get("birthDate") if patient is not None and patient.body is not None else None
    referral = next(
        (
            one["reference"]
            for one in care_plan.get("supportingInfo", ())
            if one.get("reference", "").startswith("ServiceRequest/")
        ),
        None,
    )
    referred = None if referral is None else await _referral_day(server, reader, referral)
    check_anchors(pathway, days, given=given, born=born, referred=referred)


def _local(reference: str) -> tuple[str, str]:
    resource_type, _, logical_id = reference.partition("/")
    return resource_type, logical_id


def _anchor_days(care_plan: Json, canonical_base: str) -> dict[str, date]:
    url = f"{canonical_base}/StructureDefinition/msk-anchor-date"
    days = {}
    for extension in care_plan.get("extension", ()):
        if extension["url"] == url:
            parts = {part["url"]: part for part in extension["extension"]}
            days[parts["event"]["valueCode"]] = date.fromisoformat(parts["date"]["valueDate"])
    return days


async def _pathway_of(
    server: Server, reader: Reader, care_plan: Json, settled: Settled, *, required: bool
) -> Pathway | None:
    """The pathway as it was when the plan was made, whatever its status is now."""
    for canonical in care_plan.get("instantiatesCanonical", ()):
        try:
            definition = await named_definition(reader, canonical, "CarePlan.instantiatesCanonical")
            return read_pathway(definition, server.settings.canonical_base)
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


async def _steps(transaction: Transaction, care_plan: Json, canonical_base: str) -> dict[str, Json]:
    """The plan's steps by action; what was added to the plan by hand has none and is left alone."""
    keys = [_local(one["reference"]["reference"]) for one in care_plan.get("activity", ()) if "reference" in one]
    there = await transaction.versions(keys, bodies=True)
    steps = {}
    for key in keys:
        version = there.get(key)
        if version is not None and version.body is not None:
            resource = content_of(version)
            action = action_of(resource, canonical_base)
            if action is not None:
                steps[action] = resource
    return steps


async def _refuse_overlap(server: Server, transaction: Transaction, applied: AppliedPlan) -> None:
    base = server.settings.canonical_base
    subject = applied.care_plan["subject"]["reference"]
    side = _side(applied.care_plan, base)
    criteria = [("subject", subject), ("status", "active")]
    for version in await found(server, transaction, "CarePlan", criteria, _PLANS):
        plan = content_of(version)
        urls = {canonical.partition("|")[0] for canonical in plan.get("instantiatesCanonical", ())}
        if applied.pathway in urls and _overlap(side, _side(plan, base)):
            raise BusinessRule(
                f"{subject} has CarePlan/{plan['id']}, an active plan of {applied.pathway} for the same side: move its "
                "dates with $replan, or complete or revoke it first.",
                expression=expression("subject"),
            )


def _side(plan: Json, canonical_base: str) -> str | None:
    url = f"{canonical_base}/StructureDefinition/msk-laterality"
    return next((one["valueCode"] for one in plan.get("extension", ()) if one["url"] == url), None)


def _overlap(one: str | None, other: str | None) -> bool:
    """Both sides are each side too."""
    return one == other or (one is not None and other is not None and "bilateral" in (one, other))


async def _patient(reader: Reader, subject: str) -> Json:
    """The patient, whom a plan can be made for."""
    stored = await reader.current(*_local(subject))
    if stored is None or stored.body is None:
        raise BusinessRule(f"There is no {subject}.", code="not-found", expression=expression("subject"))
    patient = content_of(stored)
    if patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient:
        raise BusinessRule(f"{subject} has died: no plan is made.", expression=expression("subject"))
    if patient.get("active") is False:
        raise BusinessRule(f"{subject} is not active: no plan is made.", expression=expression("subject"))
    return patient


async def _referred(server: Server, reader: Reader, applying: Applying) -> date | None:
    if applying.referral is None:
        return None
    stored = await reader.current(*_local(applying.referral))
    if stored is None or stored.body is None:
        raise BusinessRule(f"There is no {applying.referral}.", code="not-found", expression=expression("referral"))
    if content_of(stored).get("subject", {}).get("reference") != applying.subject:
        raise BusinessRule(f"{applying.referral} is not of {applying.subject}.", expression=expression("referral"))
    return await _referral_day(server, reader, applying.referral)


async def _referral_day(server: Server, reader: Reader, referral: str) -> date | None:
    """The day it was received (msk-received), else written."""
    stored = await reader.current(*_local(referral))
    if stored is None or stored.body is None:
        return None
    request = content_of(stored)
    url = f"{server.settings.canonical_base}/StructureDefinition/msk-received"
    received = next((one.get("valueDateTime") for one in request.get("extension", ()) if one["url"] == url), None)
    text = received or request.get("authoredOn")
    return None if text is None else day_of(text, zone(server.settings.time_zone))


async def _activities(reader: Reader, pathway: Pathway) -> dict[str, Json]:
    """The ActivityDefinitions of the pathway that are stored, by canonical and active ones first, in one search."""
    by_canonical: dict[str, Json] = {}
    for activity in await _stored(reader, "ActivityDefinition", [s.activity.partition("|")[0] for s in pathway.steps]):
        canonical = f"{activity['url']}|{activity.get('version', '')}"
        if by_canonical.get(canonical, {}).get("status") != "active":
            by_canonical[canonical] = activity
    return by_canonical


async def _stored(reader: Reader, resource_type: str, urls: list[str]) -> list[Json]:
    """Those with one of `urls`, whatever their version."""
    (source,) = definitions(resource_type)["url"].sources
    values = tuple(sorted({cut(url) for url in urls}))
    page = await reader.search(Query(resource_type, (TextIn(source.p, values),), count=1000))
    return [content for content in map(content_of, page.matches) if content["url"] in urls]
