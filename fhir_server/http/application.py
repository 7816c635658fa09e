"""The whole server as one ASGI callable: FHIR, probes, and FastAPI for everything else.

FHIR and the probes are reached before FastAPI's router; FastAPI is imported on first use, because
its import alone takes a fifth of the time allowed for start-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from fhir_server.http.asgi import AsgiApplication, Receive, Scope, Send
from fhir_server.http.base_url import FHIR_PREFIX
from fhir_server.http.endpoint import FhirEndpoint
from fhir_server.http.probes import Probes
from fhir_server.observability.logs import trace

_FHIR_ROOT = FHIR_PREFIX.encode()
_FHIR_BELOW = _FHIR_ROOT + b"/"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers while the server runs."""

    fhir: FhirEndpoint
    probes: Probes
    build_site: Callable[[], AsgiApplication]
    stop: Callable[[], Awaitable[None]]


class Application:
    """Routes by path. `open_parts` is run with the ASGI lifespan, or by `start`."""

    def __init__(self, open_parts: Callable[[], Awaitable[Parts]]) -> None:
        self._open_parts = open_parts
        self._parts: Parts
        self._site: asyncio.Future[AsgiApplication] | None = None

    async def start(self) -> None:
        self._parts = await self._open_parts()

    async def stop(self) -> None:
        await self._parts.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            # The raw path decides, so that an encoded slash or letter never leads elsewhere.
            raw_path: bytes = scope["raw_path"]
            if raw_path.startswith(_FHIR_BELOW) or raw_path == _FHIR_ROOT:
                await self._parts.fhir(scope, receive, send)
            elif scope["path"] in self._parts.probes.paths and scope["method"] in ("GET", "HEAD"):
                await self._parts.probes(scope, send)
            else:
                await (await self._loaded_site())(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)

    async def _loaded_site(self) -> AsgiApplication:
        if self._site is None:
            # Importing a framework would stop the event loop for long; a thread lets it breathe.
            self._site = asyncio.ensure_future(asyncio.to_thread(self._parts.build_site))
        return await asyncio.shield(self._site)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            # No client has been heard yet, so the message cannot quote one.
            _log.error("start-up failed", reason=str(error), trace=trace(error))
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})
