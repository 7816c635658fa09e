"""The Prefer header (RFC 7240; R4 http.html#ops, #errors): unknown preferences are ignored, as it says."""

from __future__ import annotations

from fhir_server.interactions.exchange import Request

RETURN = ("minimal", "representation", "OperationOutcome")


def preference(request: Request, name: str) -> str | None:
    header = request.header("prefer")
    if header is None:
        return None
    for part in header.replace(";", ",").split(","):
        key, _, value = part.strip().partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return None


def return_preference(request: Request) -> str:
    """minimal, representation (also when nothing known is asked for) or OperationOutcome."""
    wanted = preference(request, "return")
    return wanted if wanted in RETURN else "representation"
