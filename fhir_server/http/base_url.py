"""The absolute FHIR base of a request: from settings, or from proxies that settings trust.

The Host header of anybody else is never believed: it would decide the links in other people's answers.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from socket import gethostname

from fhir_server.http.asgi import Scope
from fhir_server.settings import Settings

FHIR_PREFIX = "/fhir"
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
ALL_ADDRESSES = ("0.0.0.0", "::", "")  # noqa: S104 (compared with, not bound to)


def own_base_url(settings: Settings, port: int) -> str:
    """The base under which this server answers when no setting says otherwise; `port` is the bound one."""
    if settings.base_url:
        return settings.base_url.rstrip("/")
    host = gethostname() if settings.host in ALL_ADDRESSES else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{FHIR_PREFIX}"


class BaseUrl:
    """Gives each request its base URL."""

    def __init__(self, settings: Settings, own: str) -> None:
        self.own = own
        proxies = [name.strip() for name in settings.trusted_proxies.split(",") if name.strip()]
        # A configured base URL wins over whatever a proxy says.
        self._networks = [] if settings.base_url else [ip_network(name, strict=False) for name in proxies]

    def of(self, scope: Scope, headers: dict[str, str]) -> str:
        return self.forwarded(scope, headers) or self.own

    def forwarded(self, scope: Scope, headers: dict[str, str]) -> str:
        """The base that a trusted proxy names; empty without one, or when what it names is no address."""
        if not self._networks or "x-forwarded-host" not in headers or not self._trusts(scope):
            return ""
        scheme = _first(headers.get("x-forwarded-proto", "https"))
        host = _first(headers["x-forwarded-host"])
        prefix = _first(headers.get("x-forwarded-prefix", "")).rstrip("/")
        if scheme not in ("http", "https") or not _HOST.fullmatch(host) or not _PREFIX.fullmatch(prefix):
            return ""
        return f"{scheme}://{host}{prefix}{FHIR_PREFIX}"

    def _trusts(self, scope: Scope) -> bool:
        client = scope.get("client")
        if not client:
            return False
        try:
            address = ip_address(client[0])
        except ValueError:  # a name, such as that of a local socket
            return False
        return any(address in network for network in self._networks)


def _first(value: str) -> str:
    return value.partition(",")[0].strip()
