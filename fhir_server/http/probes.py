"""Health and metrics: answered without the framework, so that they are there from the first moment."""

from __future__ import annotations

import orjson
import structlog

from fhir_server.errors import FhirError
from fhir_server.http.asgi import Scope, Send
from fhir_server.observability import metrics
from fhir_server.observability.logs import trace
from fhir_server.storage.base import Store

JSON = "application/json"
_log = structlog.get_logger()


class Probes:
    """`/health/live`, `/health/ready` and `/metrics`."""

    paths = ("/health/live", "/health/ready", "/metrics")

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, scope: Scope, send: Send) -> None:
        status, content_type, body = await self._answer(scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def live(self) -> dict[str, str]:
        """This process answers; the store is not asked."""
        return {"status": "live"}

    async def ready(self) -> tuple[int, dict[str, str]]:
        """Requests can be served: the store answers (nothing is answered before start-up is complete)."""
        try:
            await self._store.ready()
        except FhirError as error:
            return 503, {"status": "not ready", "reason": str(error)}
        except Exception as error:
            _log.warning("store not ready", trace=trace(error))
            return 503, {"status": "not ready", "reason": "The store does not answer."}
        return 200, {"status": "ready"}

    async def _answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return 200, metrics.CONTENT_TYPE, metrics.render()
        if path == "/health/live":
            return 200, JSON, orjson.dumps(await self.live())
        status, content = await self.ready()
        return status, JSON, orjson.dumps(content)
