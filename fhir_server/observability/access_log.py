"""One JSON line per request: which route, how long, how much; no values and no ids."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from fhir_server.observability.log_writer import standard_error
from fhir_server.observability.route import parameter_names


def log_request(
    request_id: str,
    method: str,
    route: str,
    query: list[tuple[str, str]],
    status: int,
    seconds: float,
    size: int,
) -> None:
    """Log one answered request; `size` is the body's bytes as sent."""
    standard_error.write(
        orjson.dumps(
            {
                "time": datetime.now(UTC),
                "level": "info",
                "event": "request",
                "request_id": request_id,
                "method": method,
                "route": route,
                "parameters": parameter_names(query) if query else (),
                "status": status,
                "duration_ms": round(seconds * 1000, 3),
                "bytes": size,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
    )
