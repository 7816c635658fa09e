"""Long requests: accepted at once, asked about at an address of their own, answered by files (R4 async.html).

`accept` is for what starts one; `ask_again` answers at the address.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fhir_server.errors import (
    FhirError,
    Forbidden,
    InvalidResource,
    Issue,
    MethodNotAllowed,
    Overloaded,
    ResourceNotFound,
    operation_outcome,
)
from fhir_server.interactions.byte_range import byte_range
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.model.instant import MICROS, format_instant, http_date
from fhir_server.model.json import encode
from fhir_server.storage.async_jobs import AsyncJob, OutputFile

PLACE = "_async"
"""The first segment of their addresses."""
KEPT_SECONDS = 24 * 3600
"""How long an answer can be fetched."""
RETRY_SECONDS = 2
"""How soon to ask again."""
MOST_UNFINISHED = 20
"""Most requests that wait or run; they are carried out one after another by each process."""
NDJSON = "application/x-ndjson"
FHIR_NDJSON = "application/fhir+ndjson"
GZIP = "application/gzip"
PARQUET = "application/vnd.apache.parquet"
INTERNAL = "The request failed within the server; its log says how."
"""The failure of a job that no refusal explains."""


async def accept(server: Server, request: Request, kind: str, plan: bytes, total: int = 0) -> Response:
    """202 with the address to ask at; `total` is the number of steps for X-Progress, 0 when it is not known.

    Raises Overloaded (429) when too many requests are unfinished; InvalidResource when the client does not say that it
    will wait.
    """
    _check_prefer(request)
    if request.scope.predicates:
        raise Forbidden("Long requests are only for those who may see everything.")
    url = f"{request.base_url}/{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
    job = await server.store.async_jobs.add(kind, request.scope.principal, url, plan, total, MOST_UNFINISHED)
    if job is None:
        raise Overloaded(
            f"{MOST_UNFINISHED} long requests are unfinished: wait for one, or cancel one.", status=429, retry_after=60
        )
    return _accepted(request, job)


def _check_prefer(request: Request) -> None:
    wanted = (part.strip().lower() for part in (request.header("prefer") or "").replace(";", ",").split(","))
    if "respond-async" not in wanted:
        raise InvalidResource(
            "This is answered later only: send the header Prefer: respond-async and ask at the address in "
            "Content-Location.",
            code="required",
        )


async def ask_again(server: Server, request: Request, rest: list[str]) -> Response:
    """_async/[id]: how far it is, or what it has made; DELETE ends it. _async/[id]/[file]: one file."""
    job = await server.store.async_jobs.one(rest[0]) if rest else None
    if job is None or job.principal != request.scope.principal:
        raise ResourceNotFound("There is no such request here: it was cancelled, or its answer is no longer kept.")
    match rest[1:], request.method:
        case [], "GET":
            return await _status(server, request, job)
        case [], "DELETE":
            await server.store.async_jobs.remove(job.id)
            await discard(server, job)
            text = "The request is ended, and what it has made is gone."
            return Response(202, _told(text))
        case [name], "GET":
            return await _file(server, request, job, name)
    raise MethodNotAllowed(
        f"{request.method} is not possible here.", headers={"Allow": "GET, HEAD" if rest[1:] else "GET, HEAD, DELETE"}
    )


async def discard(server: Server, job: AsyncJob) -> None:
    """Remove what a job that is forgotten has made outside of the store."""
    if (made := server.made.get(job.kind)) is not None:
        await made.discard(job)


async def _status(server: Server, request: Request, job: AsyncJob) -> Response:
    if not job.finished:
        return _accepted(request, job)
    if job.state == "failed":
        raise FhirError(job.failure, status=500 if job.failure == INTERNAL else 422)
    address = f"{request.base_url}/{PLACE}/{job.id}"
    files = await server.store.async_jobs.files(job.id)
    made = server.made.get(job.kind)
    manifest = _manifest(job, files, address) if made is None else made.manifest(job, files, address)
    expires = http_date(job.updated // MICROS + KEPT_SECONDS)
    return Response(200, encode(manifest), {"Expires": expires}, content_type="application/json")


def _manifest(job: AsyncJob, files: list[OutputFile], address: str) -> dict[str, Any]:
    return {
        "transactionTime": format_instant(job.created).decode(),
        "request": job.request,
        "requiresAccessToken": False,
        "output": [{"type": one.name, "url": f"{address}/{one.name}", "count": one.lines} for one in files],
        "error": [],
    }


async def _file(server: Server, request: Request, job: AsyncJob, name: str) -> Response:
    jobs = server.store.async_jobs
    if job.state != "completed" or all(one.name != name for one in await jobs.files(job.id)):
        raise ResourceNotFound("There is no such file: ask at the address of the request which there are.")
    made = server.made.get(job.kind)
    file = None if made is None else made.file(job, name)
    if file is None:
        lines = jobs.content(job.id, name)
        return Response(200, lines, content_type=NDJSON if made is None else FHIR_NDJSON)
    # A file never changes, so whoever goes on (If-Range, RFC 9110 section 13.1.5) goes on with the same.
    tag = f'"{job.id}/{name}"'
    same = request.header("if-range") in (None, tag)
    part = byte_range(request.header("range"), file.size) if same else None
    start, stop = part or (0, file.size)
    headers = {"Content-Length": str(stop - start), "Accept-Ranges": "bytes", "ETag": tag}
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    content_type = GZIP if name.endswith(".gz") else PARQUET if name.endswith(".parquet") else FHIR_NDJSON
    return Response(206 if part else 200, file.content(start, stop), headers, content_type)


def _accepted(request: Request, job: AsyncJob) -> Response:
    progress = f"{job.state}: {job.done}" + (f" of {max(job.total, job.done)}" if job.total else "")
    headers: dict[str, Any] = {
        "Content-Location": f"{request.base_url}/{PLACE}/{job.id}",
        "X-Progress": progress,
        "Retry-After": str(RETRY_SECONDS),
    }
    return Response(202, _told(f"The request is {progress}. Ask again at {headers['Content-Location']}."), headers)


def _told(text: str) -> bytes:
    return encode(operation_outcome([Issue("informational", text, severity="information")]))
