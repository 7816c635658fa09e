"""The application: the one place that knows all parts and wires them together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import structlog

from fhir_server import spec
from fhir_server.background import Background
from fhir_server.bulk.export.files import ExportFiles, export_folder
from fhir_server.bulk.export.remote import remote_of
from fhir_server.bulk.export.work import IDLE_SECONDS, ExportAnswer, ExportWork
from fhir_server.bulk.imports.work import ImportAnswer, ImportWork
from fhir_server.http.application import Application, Parts
from fhir_server.http.asgi import AsgiApplication
from fhir_server.http.base_url import BaseUrl, own_base_url
from fhir_server.http.endpoint import Dispatch, FhirEndpoint
from fhir_server.http.forward import ForwardedRequests, ForwardingDispatch
from fhir_server.http.probes import Probes
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Server
from fhir_server.jobs.run import DailyJobs
from fhir_server.observability import vocabulary
from fhir_server.operations.async_worker import AsyncWorker
from fhir_server.operations.export_plan import KIND as EXPORT
from fhir_server.operations.import_plan import KIND as IMPORT
from fhir_server.operations.score_batch import KIND as SCORE_BATCH
from fhir_server.operations.score_batch import ScoreBatch
from fhir_server.search.reindex import Reindexer

VACUUMS_PER_HORIZON = 12
REGISTRY_SECONDS = 1.0
"""How often a process looks whether the search parameters have changed; its writes learn it at once."""
REINDEX_SECONDS = 1.0
"""How often a process looks for a job on the index: one look-up among a handful of rows."""
ASYNC_SECONDS = 1.0
"""How often a process looks for a long request that nobody carries out."""
OpenServer = Callable[[], Awaitable[Server]]
_log = structlog.get_logger()


def create_app(
    open_server: OpenServer,
    dispatch: Dispatch,
    *,
    port: int | None = None,
    first: bool = True,
    forward_socket: Path | None = None,
    overloaded: Callable[[], bool] = lambda: False,
) -> Application:
    """The server as an ASGI application.

    Args:
        open_server: opens the store at start-up and gives it with settings and operations.
        dispatch: carries out one interaction.
        port: the port in links when no base URL is set; the setting's own when None.
        first: whether this process loads content and keeps the store tidy, for all processes of this server.
        forward_socket: where the first process takes the others' writes; None when each writes for itself.
        overloaded: whether new requests are refused at this moment.
    """

    async def open_parts() -> Parts:
        server = await open_server()
        await refresh(server)
        _learn_words(server)
        settings = server.settings
        own = own_base_url(settings, settings.port if port is None else port)
        probes = Probes(server.store)
        carry_out = dispatch
        if forward_socket is not None and not first:
            carry_out = ForwardingDispatch(forward_socket, dispatch)
        endpoint = FhirEndpoint(server, carry_out, BaseUrl(settings, own), overloaded)
        duties = _Duties(server, dispatch, forward_socket) if first else None
        if duties is not None:
            await duties.start()
        files = ExportFiles(export_folder(settings), remote_of(settings))
        imports = ImportWork(export_folder(settings))
        server.made = {EXPORT: ExportAnswer(files, settings.canonical_base), IMPORT: ImportAnswer(imports)}
        background = Background()
        background.repeat("registry", lambda: refresh(server), REGISTRY_SECONDS)
        exports = ExportWork(settings)
        if first or forward_socket is None:
            reindexer = Reindexer(server.store, settings.time_zone, settings.reindex_share)
            await reindexer.prepare()
            background.repeat("reindex", reindexer.run_next, REINDEX_SECONDS)
            worker = AsyncWorker(server, {SCORE_BATCH: ScoreBatch(), EXPORT: exports, IMPORT: imports})
            background.repeat("long requests", worker.run_next, ASYNC_SECONDS)
            background.repeat("processes of exports and imports", partial(_rest, exports, imports), IDLE_SECONDS)

        async def stop() -> None:
            await background.stop()
            await exports.stop()
            await imports.stop()
            if duties is not None:
                await duties.stop()
            await server.store.close()

        return Parts(endpoint, probes, partial(_build_site, probes, own), stop)

    return Application(open_parts)


def _learn_words(server: Server) -> None:
    """Tell logs and metrics which words are FHIR's and which may be a patient's."""
    vocabulary.learn(
        resource_types=spec.RESOURCE_TYPES,
        operations=[code for _, code, _ in server.operations.declared()] if server.operations else [],
        parameters={code for name in spec.RESOURCE_TYPES for code in spec.search_parameters(name)},
    )


async def _rest(*works: ExportWork | ImportWork) -> None:
    for work in works:
        await work.rest()


class _Duties:
    """What the first process does for all: content, vacuuming, scheduled work, the others' writes."""

    def __init__(self, server: Server, dispatch: Dispatch, forward_socket: Path | None) -> None:
        self._server = server
        self._forwarded = ForwardedRequests(forward_socket, server, dispatch) if forward_socket is not None else None
        self._background = Background()

    async def start(self) -> None:
        await _load_shipped(self._server)
        horizon = self._server.settings.snapshot_seconds
        self._background.repeat("vacuum", lambda: _vacuum(self._server), horizon / VACUUMS_PER_HORIZON)
        seconds = self._server.settings.jobs_seconds
        if seconds:
            self._background.repeat("jobs", DailyJobs(self._server).look, seconds)
        if self._forwarded is not None:
            await self._forwarded.start()

    async def stop(self) -> None:
        if self._forwarded is not None:
            await self._forwarded.stop()
        await self._background.stop()


async def _load_shipped(server: Server) -> None:
    settings = server.settings
    if settings.content or settings.demo:
        from fhir_server.content import load_content, load_demo  # noqa: PLC0415

        if settings.content:
            loaded = await load_content(server)
            _log.info("content loaded", **asdict(loaded))
        if settings.demo:
            await load_demo(server)


async def _vacuum(server: Server) -> None:
    """Clear index rows whose snapshots have ended."""
    cleared = await server.store.vacuum(server.settings.snapshot_seconds)
    if cleared:
        _log.info("vacuum", versions=cleared)


def _build_site(probes: Probes, base_url: str) -> AsgiApplication:
    # FastAPI takes 0.3 s to import, and most server processes never need it.
    from fhir_server.http.site import build_site  # noqa: PLC0415

    return build_site(probes, base_url)
