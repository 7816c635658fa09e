"""The invariants of the workflow over the whole store: patient by patient, holding one patient's workflow at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.model.identity import rid
from fhir_server.operations.plans_definitions import named_definition, pathway_of
from fhir_server.operations.scorer import Scorer, StoreReading
from fhir_server.operations.stored import content_of
from fhir_server.pathways.invariants import violations
from fhir_server.pathways.invariants.answers import LIVE
from fhir_server.pathways.invariants.record import Moment, Record, Violation, name, references
from fhir_server.pathways.invariants.slots import slot_violations
from fhir_server.pathways.timing import AT_ONCE
from fhir_server.search.compile import compile_query
from fhir_server.search.parse import parse_search
from fhir_server.storage.query import HistoryQuery, IdIn, InCompartment, Predicate
from fhir_server.storage.scope import ALL

Json = dict[str, Any]

_PAGE = 200
"""Resources read at once, and values of one search."""
_VERSIONS = 1000
"""Versions of one resource that are looked at in one page."""
_WORKFLOW = ("CarePlan", "Task", "Appointment", "ServiceRequest", "EpisodeOfCare", "Consent", "Communication")
"""What the invariants speak of and is in the patient's compartment."""
_MOVING = frozenset(("CarePlan", "Task", "ServiceRequest"))
"""Types whose earlier versions they speak of."""


async def workflow_violations(server: Server, moment: Moment) -> AsyncIterator[Violation]:
    """Everything in the store that cannot be; what is written meanwhile may be seen in part."""
    walk = _Walk(server)
    async for patients in walk.pages("Patient", []):
        concerned = await walk.concerned([patient["id"] for patient in patients])
        for patient in patients:
            if f"Patient/{patient['id']}" in concerned:
                for violation in violations(await walk.record(patient), moment):
                    yield violation
    async for plans in walk.pages("CarePlan", [_MADE_FROM_A_PATHWAY]):
        async for violation in walk.plans_of_nobody(plans):
            yield violation
    async for slots in walk.pages("Slot", []):
        for violation in slot_violations(slots, await walk.naming("Appointment", "slot", map(name, slots))):
            yield violation


_MADE_FROM_A_PATHWAY = ("instantiates-canonical:missing", "false")


class _Walk:
    """Reads of the store, page by page."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._base = server.settings.canonical_base
        self._reader = StoreReading(server.store, ALL)
        self._scorer = Scorer(server, self._reader)

    async def pages(
        self, resource_type: str, criteria: Sequence[tuple[str, str]], *predicates: Predicate
    ) -> AsyncIterator[list[Json]]:
        """All matches, a page at a time, as of the first page."""
        server = self._server
        request = parse_search(resource_type, criteria, strict=True, registry=server.registry)
        query = compile_query(
            request,
            base_url="",
            time_zone=server.settings.time_zone,
            default_count=_PAGE,
            registry=server.registry,
        )
        query = replace(query, predicates=(*query.predicates, *predicates))
        while True:
            page = await server.store.search(ALL, query)
            if page.matches:
                yield [content_of(version) for version in page.matches]
            if page.next_after is None:
                return
            query = replace(query, snapshot=page.snapshot, after=page.next_after)

    async def all(self, resource_type: str, criteria: Sequence[tuple[str, str]], *predicates: Predicate) -> list[Json]:
        return [one async for page in self.pages(resource_type, criteria, *predicates) for one in page]

    async def naming(self, resource_type: str, parameter: str, targets: Iterable[str]) -> list[Json]:
        """Resources that refer to one of `targets`, each once."""
        found: dict[str, Json] = {}
        for some in _parts(list(targets)):
            for one in await self.all(resource_type, [(parameter, ",".join(some))]):
                found[name(one)] = one
        return list(found.values())

    async def concerned(self, patients: list[str]) -> set[str]:
        """Those of `patients` who have a plan made from a pathway, or a referral."""
        within = InCompartment(tuple(rid("Patient", patient) for patient in patients))
        plans = await self.all("CarePlan", [_MADE_FROM_A_PATHWAY], within)
        code = f"{self._base}/CodeSystem/msk-task-code|coordinate-referral"
        tasks = await self.all("Task", [("code", code)], within)
        return {plan["subject"]["reference"] for plan in plans} | {task["for"]["reference"] for task in tasks}

    async def record(self, patient: Json) -> Record:
        within = InCompartment((rid("Patient", patient["id"]),))
        resources = [one for held in _WORKFLOW for one in await self.all(held, [], within)]
        responses = await self._read("QuestionnaireResponse", _outputs(resources))
        scores = await self.naming("Observation", "derived-from", map(name, responses))
        why = await self.naming("Provenance", "target", [name(one) for one in resources if _moves(one)])
        scorable = await self._scorable(patient, responses, scores)
        return Record(
            self._base,
            self._server.settings.time_zone,
            patient,
            [*resources, *responses, *scores, *why],
            {name(one): await self._history(one) for one in resources if _moves(one)},
            lambda response: name(response) in scorable,
            await self._waiting_for_more(resources),
        )

    async def _read(self, resource_type: str, references: set[str]) -> list[Json]:
        ids = [one.partition("/")[2] for one in sorted(references) if one.startswith(f"{resource_type}/")]
        found = []
        for some in _parts(ids):
            found += await self.all(resource_type, [], IdIn(tuple(rid(resource_type, one) for one in some)))
        return found

    async def _history(self, resource: Json) -> list[Json]:
        """All versions, oldest first."""
        if resource["meta"]["versionId"] == "1":
            return [resource]
        query = HistoryQuery(resource["resourceType"], resource["id"], count=_VERSIONS, total=False)
        versions: list[Json] = []
        while True:
            page = await self._server.store.history(ALL, query)
            versions += [content_of(version) for version in page.versions if version.body is not None]
            if page.next_before is None:
                return versions[::-1]
            query = replace(query, snapshot=page.snapshot, before=page.next_before)

    async def plans_of_nobody(self, plans: list[Json]) -> AsyncIterator[Violation]:
        patients = await self._read("Patient", {plan["subject"].get("reference", "") for plan in plans})
        there = {name(patient) for patient in patients}
        for plan in plans:
            subject = plan["subject"].get("reference")
            if subject not in there:
                yield Violation(name(plan), "plan-of-nobody", f"its subject {subject} is not here")

    async def _waiting_for_more(self, resources: list[Json]) -> frozenset[tuple[str, str]]:
        """(plan, action) of steps that are not counted from their anchor alone, of pathways that are here."""
        found = set()
        for plan in resources:
            canonical = next(iter(plan.get("instantiatesCanonical", ())), None)
            if plan["resourceType"] != "CarePlan" or canonical is None:
                continue
            try:
                definition = await named_definition(self._reader, canonical, "CarePlan.instantiatesCanonical")
                pathway = await pathway_of(self._server, self._reader, definition)
            except BusinessRule:
                continue
            found |= {(name(plan), step.key) for step in pathway.steps if step.follows or step.delay != AT_ONCE}
        return frozenset(found)

    async def _scorable(self, patient: Json, responses: list[Json], scores: list[Json]) -> set[str]:
        """Those of `responses` that have no score and could have one."""
        live = [one for one in scores if one["status"] in LIVE]
        scored = {reference for one in live for reference in references(one.get("derivedFrom"))}
        found = set()
        for response in responses:
            if name(response) not in scored:
                try:
                    scoring = await self._scorer.score(response, patient)
                except BusinessRule:
                    continue
                if scoring.accepted and scoring.results:
                    found.add(name(response))
        return found


def _parts(values: list[str]) -> Iterator[list[str]]:
    """At most a page's worth of them at a time."""
    return (values[start : start + _PAGE] for start in range(0, len(values), _PAGE))


def _moves(resource: Json) -> bool:
    return resource["resourceType"] in _MOVING


def _outputs(resources: list[Json]) -> set[str]:
    return {
        reference
        for resource in resources
        if resource["resourceType"] == "Task"
        for reference in references([one.get("valueReference", {}) for one in resource.get("output", ())])
    }
