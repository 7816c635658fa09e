"""What a pathway's expressions may speak of: gathered when one does, in one round of searches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from fhir_server.interactions.exchange import Server
from fhir_server.model.dates import period_of
from fhir_server.operations.found import query_of
from fhir_server.operations.stored import content_of
from fhir_server.pathways.definition import Expression
from fhir_server.pathways.expressions import Judge, needed
from fhir_server.storage.base import SearchPage, StoredVersion
from fhir_server.storage.query import Query

Json = dict[str, Any]

MOST_FACTS = 1000
"""Scores and responses looked at, the last written first."""


class FactReader(Protocol):
    """A Transaction, or a store that is read in a scope (`scorer.StoreReading`)."""

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None: ...

    async def search_all(self, queries: Sequence[Query]) -> SearchPage: ...


async def judge_for(
    server: Server,
    reader: FactReader,
    expressions: Iterable[Expression],
    patient: Json,
    *,
    referral: str | None,
    laterality: str | None,
) -> Judge:
    """Evaluates expressions about `patient` as of now; `referral` is a ServiceRequest."""
    wanted = needed(expressions)
    facts: Json = {}
    if wanted & {"scores", "baseline", "responses"}:
        found = await _found(server, reader, patient["id"], wanted)
        base = server.settings.canonical_base
        scores = [one for one in found if one["resourceType"] == "Observation" and _of_side(one, laterality, base)]
        responses = [one for one in found if one["resourceType"] == "QuestionnaireResponse"]
        zone = server.settings.time_zone
        facts["scores"] = _newest(scores, "effectiveDateTime", zone, base)
        baselines = [
            one for one in scores if _extension(one, f"{base}/StructureDefinition/msk-timepoint") == "baseline"
        ]
        facts["baseline"] = _newest(baselines, "effectiveDateTime", zone, base)
        facts["responses"] = _newest(responses, "authored", zone, base)
    if "referral" in wanted:
        facts["referral"] = await _read(reader, referral)
    return Judge(patient, facts, server.clock.now())


async def _found(server: Server, reader: FactReader, patient: str, wanted: frozenset[str]) -> list[Json]:
    queries = []
    if wanted & {"scores", "baseline"}:
        system = f"{server.settings.canonical_base}/CodeSystem/msk-score"
        criteria = [("patient", patient), ("code", f"{system}|"), ("status", "final,amended")]
        queries.append(query_of(server, "Observation", criteria, MOST_FACTS))
    if "responses" in wanted:
        criteria = [("patient", patient), ("status", "completed,amended")]
        queries.append(query_of(server, "QuestionnaireResponse", criteria, MOST_FACTS))
    return [content_of(version) for version in (await reader.search_all(queries)).matches]


def _newest(resources: list[Json], element: str, time_zone: str, canonical_base: str) -> list[Json]:
    """The newest of each score or questionnaire, newest first; of the same moment the one written last."""
    ordered = sorted(resources, key=lambda one: _moment(one, element, time_zone), reverse=True)
    newest: dict[str, Json] = {}
    for resource in ordered:
        newest.setdefault(_kind(resource, canonical_base), resource)
    return list(newest.values())


def _moment(resource: Json, element: str, time_zone: str) -> int:
    period = period_of(str(resource.get(element, "")), time_zone)
    return -(2**62) if period is None else period[1]


def _kind(resource: Json, canonical_base: str) -> str:
    """The score's code, or the questionnaire in whatever version."""
    if resource["resourceType"] == "QuestionnaireResponse":
        return str(resource.get("questionnaire", "")).partition("|")[0]
    system = f"{canonical_base}/CodeSystem/msk-score"
    codings = resource["code"].get("coding", ())
    return next((str(coding.get("code")) for coding in codings if coding.get("system") == system), "")


def _of_side(score: Json, laterality: str | None, canonical_base: str) -> bool:
    """A score of the other side says nothing of the side that the plan is about."""
    side = _extension(score, f"{canonical_base}/StructureDefinition/msk-laterality")
    return laterality in (None, "bilateral") or side in (None, "bilateral", laterality)


def _extension(resource: Json, url: str) -> Any:
    return next((one.get("valueCode") for one in resource.get("extension", ()) if one["url"] == url), None)


async def _read(reader: FactReader, reference: str | None) -> list[Json]:
    if reference is None:
        return []
    resource_type, _, logical_id = reference.partition("/")
    version = await reader.current(resource_type, logical_id)
    return [] if version is None or version.body is None else [content_of(version)]
