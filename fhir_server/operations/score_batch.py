"""QuestionnaireResponse $score-batch: the scores of many stored responses, as a file (R4 async.html).

An operation of this server. Each response is scored as $score does, and gives a line for each score, or one that says
why there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from fhir_server.errors import BusinessRule, FhirError, InvalidResource, Overloaded
from fhir_server.instruments.batch import Row, encode_rows, row_of
from fhir_server.interactions.async_request import accept
from fhir_server.interactions.current_registry import with_current_registry
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.model.json import parse
from fhir_server.model.reference import parse_reference
from fhir_server.operations.async_worker import Step
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.score import score
from fhir_server.operations.stored import ANY_DEPTH, current
from fhir_server.search.conditional import conditional_criteria
from fhir_server.storage.async_jobs import AsyncJob, Output
from fhir_server.storage.query import Query
from fhir_server.storage.scope import ALL
from fhir_server.terminology.reader import StoreReader

Json = dict[str, Any]

KIND = "score-batch"
FILE = "score"
"""The type of the one file of the answer."""
BATCH = 50
"""Responses of one step: tens of milliseconds, between which others are answered."""
MEMBERS_AT_ONCE = 50
"""Patients of a Group whose responses are searched together."""

_TYPE = "QuestionnaireResponse"


class Plan(msgspec.Struct, frozen=True):
    """What was asked for: the responses that meet `criteria`, or those of the patients `members`."""

    base_url: str
    persist: bool
    criteria: str = ""
    members: tuple[str, ...] = ()

    def blocks(self) -> int:
        return 1 if self.criteria else -(-len(self.members) // MEMBERS_AT_ONCE)


class Place(msgspec.Struct, frozen=True):
    """Where a job goes on; all of it sees the moment of its first page."""

    snapshot: int | None = None
    block: int = 0
    after: tuple[int | str | None, ...] | None = None


async def score_batch(call: OperationRequest) -> Response:
    """Raises InvalidResource, InvalidSearch (400), ResourceNotFound, ResourceGone, BusinessRule, Overloaded (429)."""
    criteria, group = call.one("criteria"), call.one("group")
    if (criteria is None) == (group is None):
        raise InvalidResource("Send criteria or group: one of them says which responses are scored.", code="required")
    plan = Plan(call.request.base_url, bool(call.one("persist")))
    total = 0
    if group is not None:
        plan = msgspec.structs.replace(plan, members=await _members(call, group))
    else:
        plan = msgspec.structs.replace(plan, criteria=criteria)
        counting = replace(await _query(call.server, plan, Place()), count=0, total=True)
        total = (await call.server.store.search(call.scope, counting)).total or 0
    return await accept(call.server, call.request, KIND, msgspec.json.encode(plan), total)


async def _members(call: OperationRequest, group: Json) -> tuple[str, ...]:
    """The patients that are members of the Group now (R4 group.html)."""
    reference = parse_reference(str(group.get("reference", "")))
    if not reference.is_local or reference.resource_type != "Group":
        raise InvalidResource("Parameter group is a reference to a Group of this server: Group/[id].", code="value")
    content = await current(call, "Group", reference.logical_id)
    members: dict[str, None] = {}
    for member in content.get("member", ()):
        entity = parse_reference(str(member.get("entity", {}).get("reference", "")))
        if entity.is_local and entity.resource_type == "Patient" and not member.get("inactive"):
            members[entity.logical_id] = None
    if not members:
        raise BusinessRule(f"{reference.text} has no active members that are Patients of this server.")
    return tuple(members)


async def _query(server: Server, plan: Plan, place: Place) -> Query:
    """A page; criteria are read as strictly as conditions that decide what is written."""
    start = place.block * MEMBERS_AT_ONCE
    members = plan.members[start : start + MEMBERS_AT_ONCE]
    criteria = plan.criteria or [("patient", ",".join(f"Patient/{member}" for member in members))]
    read = conditional_criteria(
        _TYPE, criteria, base_url=plan.base_url, time_zone=server.settings.time_zone, registry=server.registry
    )
    query = await read.query(StoreReader(server.store, ALL), server.terminology)
    return replace(query, count=BATCH, snapshot=place.snapshot, after=place.after)


class ScoreBatch:
    """Carries it out (operations/async_worker.py: Work)."""

    async def step(self, server: Server, job: AsyncJob) -> Step | None:
        plan = msgspec.json.decode(job.plan, type=Plan)
        place = msgspec.json.decode(job.place, type=Place) if job.place else Place()
        if place.block >= plan.blocks():
            return None
        page = await server.store.search(ALL, await _query(server, plan, place))
        pieces = [await _lines(server, plan, version.logical_id) for version in page.matches]
        if page.next_after is not None:
            following = Place(page.snapshot, place.block, page.next_after)
        else:
            following = Place(page.snapshot, place.block + 1)
        lines = sum(count for _, count in pieces)
        output = [Output(FILE, lines, b"".join(piece for piece, _ in pieces))] if lines else []
        return Step(output, msgspec.json.encode(following), job.done + len(page.matches))


async def _lines(server: Server, plan: Plan, logical_id: str) -> tuple[bytes, int]:
    """What $score answers for the response as it is now, as lines, and how many."""
    parameters = {"persist": [True]} if plan.persist else {}
    request = Request("POST", f"{_TYPE}/{logical_id}/$score", base_url=plan.base_url)
    call = OperationRequest(server, request, "instance", _TYPE, logical_id, None, parameters)
    try:
        answer = await with_current_registry(server, lambda: score(call))
    except Overloaded:
        raise
    except FhirError as refusal:
        # Warnings too: an alert must not be lost because there is no score.
        reasons = [issue.diagnostics for issue in refusal.issues if issue.severity != "information"]
        return encode_rows([Row(logical_id, None, None, "refused", " ".join(reasons))]), 1
    assert isinstance(answer.body, bytes)
    rows = [row_of(logical_id, one) for one in _observations(parse(answer.body, max_depth=ANY_DEPTH))]
    return encode_rows(rows), len(rows)


def _observations(answer: Json) -> Iterator[Json]:
    for entry in answer["entry"]:
        if entry["resource"]["resourceType"] == "Observation":
            yield entry["resource"]
