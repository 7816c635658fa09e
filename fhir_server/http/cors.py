"""Cross-origin requests from browsers, allowed by the setting `cors_origins` (WHATWG Fetch, section 3.2)."""

from __future__ import annotations

from fhir_server.http.asgi import HeaderList

ALLOWED_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_REQUEST_HEADERS = (
    b"Accept, Authorization, Content-Type, Content-Encoding, If-Match, If-Modified-Since, If-None-Exist, "
    b"If-None-Match, Prefer, X-Request-Id, X-Security-Context"
)
_RESPONSE_HEADERS = b"Content-Location, ETag, Expires, Last-Modified, Location, Retry-After, X-Progress, X-Request-Id"


_VARY = (b"vary", b"Origin")


class Cors:
    """Which origins may read answers."""

    def __init__(self, origins: str) -> None:
        self._origins = frozenset(origin.strip().rstrip("/") for origin in origins.split(",") if origin.strip())

    def allows(self, origin: str) -> bool:
        return "*" in self._origins or origin in self._origins

    def headers(self, origin: str | None, *, preflight: bool = False) -> HeaderList:
        """The headers for a request from `origin`; none when it is not allowed or not cross-origin."""
        if origin is None or not self.allows(origin):
            return [_VARY] if self._origins - {"*"} else []
        anybody = "*" in self._origins
        headers = [(b"access-control-allow-origin", b"*" if anybody else origin.encode("latin-1"))]
        if not anybody:
            headers.append(_VARY)
        if preflight:
            headers.append((b"access-control-allow-methods", ALLOWED_METHODS))
            headers.append((b"access-control-allow-headers", _REQUEST_HEADERS))
            headers.append((b"access-control-max-age", b"600"))
        else:
            headers.append((b"access-control-expose-headers", _RESPONSE_HEADERS))
        return headers
