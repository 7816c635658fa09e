"""$reindex: start, watch and cancel the jobs that make index rows anew (search/reindex.py runs them).

An operation of this server. Its answers follow R4 async.html: 202 with Content-Location and X-Progress, then 200.
"""

from __future__ import annotations

from typing import Any

from fhir_server import spec
from fhir_server.errors import BusinessRule, InvalidResource, Issue, MethodNotAllowed, ResourceNotFound
from fhir_server.errors import operation_outcome as outcome_of
from fhir_server.interactions.exchange import Response
from fhir_server.model.instant import format_instant
from fhir_server.model.json import encode
from fhir_server.operations.request import OperationRequest
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.parameters import Job

RETRY_SECONDS = 5
"""How soon to ask again, while a job runs."""


async def reindex(call: OperationRequest) -> Response:
    """Raises ResourceNotFound for a job that is not there, BusinessRule for one that has ended."""
    job_id = call.one("job")
    if call.request.method == "GET":
        if call.parameters.keys() - {"job"}:
            raise MethodNotAllowed(
                "A GET of $reindex changes nothing: POST what is to be done.", headers={"Allow": "POST"}
            )
        return await (_listing(call) if job_id is None else _status(call, job_id))
    if job_id is not None:
        raise InvalidResource("Parameter job is for GET: POST cancel to end a job.")
    cancelled = call.one("cancel")
    if cancelled is not None:
        return await _cancel(call, cancelled)
    return await _start(call)


async def _start(call: OperationRequest) -> Response:
    reindexing = call.server.store.reindexing
    names = sorted(spec.RESOURCE_TYPES) if call.one("full") else list(dict.fromkeys(call.many("type")))
    for name in names:
        if name not in spec.RESOURCE_TYPES:
            raise InvalidResource(f"Parameter type: {name[:100]} is not a resource type of FHIR R4.", code="value")
    if names:
        job = await reindexing.request([TYPE_NUMBERS[kind] for name in names for kind in (name, f"#{name}")])
        return _accepted(call, job)
    resumed = await reindexing.resume()
    under_way = resumed or [job for job in await reindexing.jobs() if not job.finished]
    if under_way:
        return _accepted(call, under_way[0])
    nothing = Issue(
        "informational",
        "Every search parameter is built. Give type or full=true to make rows anew.",
        severity="information",
    )
    return Response(200, encode(outcome_of([nothing])))


async def _cancel(call: OperationRequest, job_id: int) -> Response:
    reindexing = call.server.store.reindexing
    if await reindexing.job(job_id) is None:
        raise _unknown(job_id)
    if not await reindexing.cancel(job_id):
        raise BusinessRule(f"The job {job_id} has ended already.")
    text = f"The job {job_id} is cancelled. What it was building is not searched; POST $reindex to go on."
    return Response(200, encode(outcome_of([Issue("informational", text, severity="information")])))


async def _status(call: OperationRequest, job_id: int) -> Response:
    job = await call.server.store.reindexing.job(job_id)
    if job is None:
        raise _unknown(job_id)
    return _accepted(call, job) if not job.finished else await _described(call, [job])


async def _listing(call: OperationRequest) -> Response:
    return await _described(call, await call.server.store.reindexing.jobs())


def _unknown(job_id: int) -> ResourceNotFound:
    return ResourceNotFound(f"There is no job {job_id}; GET [base]/$reindex lists those there are.")


def _accepted(call: OperationRequest, job: Job) -> Response:
    """R4 async.html#3.1.6.3: accepted, and where to look."""
    headers = {
        "Content-Location": f"{call.request.base_url}/$reindex?job={job.id}",
        "X-Progress": f"{job.state}: {job.done} of {max(job.total, job.done)}",
        "Retry-After": str(RETRY_SECONDS),
    }
    text = f"The job {job.id} is {job.state}: {job.done} of about {max(job.total, job.done)} resources are done."
    return Response(202, encode(outcome_of([Issue("informational", text, severity="information")])), headers)


async def _described(call: OperationRequest, jobs: list[Job]) -> Response:
    stored = await call.server.store.parameters()
    names = {one.number: f"{one.definition.resource_type}.{one.definition.code}" for one in stored.parameters}
    body: dict[str, Any] = {"resourceType": "Parameters"}
    if jobs:
        body["parameter"] = [{"name": "job", "part": _parts(job, names)} for job in jobs]
    return Response(200, encode(body))


def _parts(job: Job, names: dict[int, str]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"name": "number", "valueInteger": job.id},
        {"name": "kind", "valueCode": job.kind},
        {"name": "state", "valueCode": job.state},
        {"name": "done", "valueDecimal": job.done},
        {"name": "total", "valueDecimal": job.total},
        {"name": "created", "valueInstant": format_instant(job.created).decode()},
        {"name": "updated", "valueInstant": format_instant(job.updated).decode()},
    ]
    return parts + [{"name": "parameter", "valueString": names[n]} for n in job.plan.numbers if n in names]
