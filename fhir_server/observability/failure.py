"""A failure of ours: logged with its trace under the request's id, told to the client by that id only."""

from __future__ import annotations

import structlog

from fhir_server.errors import FhirError
from fhir_server.observability.logs import trace

_log = structlog.get_logger()


def failed(error: Exception, request_id: str) -> FhirError:
    """Log `error`, which nobody foresaw; the 500 to answer with."""
    _log.error("request failed", request_id=request_id, trace=trace(error))
    return FhirError(
        f"The server failed on this request. Quote request id {request_id} when reporting it.",
        status=500,
        code="exception",
    )
