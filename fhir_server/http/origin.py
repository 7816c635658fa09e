"""Requests that a web page makes a browser send: refused while nothing but the network keeps strangers out.

A page anywhere can make a browser post to 127.0.0.1 (cross-site request forgery), or point a name of its own at it and
read the answers (DNS rebinding). It cannot set Origin, Sec-Fetch-Site or Host as it likes (WHATWG Fetch; RFC 9110 7.2).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from fhir_server.errors import Forbidden
from fhir_server.http.cors import Cors
from fhir_server.settings import Settings

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


class OriginCheck:
    """Which hosts this server answers as, and which origins may write.

    The host is checked where the server listens on loopback, unless a trusted proxy names another; `base_url` adds its
    own.
    """

    def __init__(self, settings: Settings, cors: Cors) -> None:
        self._cors = cors
        self._hosts = {"localhost", settings.host.lower(), (urlsplit(settings.base_url).hostname or "localhost")}
        self._checks_host = is_loopback(settings.host)
        self._own_authority = urlsplit(settings.base_url).netloc

    def refuse_foreign(self, method: str, headers: dict[str, str], forwarded: str = "") -> None:
        """Raise Forbidden (403) for a host that is not ours, and for a write sent by a page of another site.

        `forwarded`: the base that a trusted proxy names.
        """
        host = headers.get("host", "")
        if self._checks_host and host and not forwarded and not self._is_ours(host):
            raise Forbidden(
                "This server has no authentication and answers to its own address only. Reach it as 127.0.0.1 or"
                " localhost, start it with --base-url and the name it is to have, or let a trusted proxy send"
                " X-Forwarded-Host."
            )
        if method in _SAFE_METHODS:
            return
        origin = headers.get("origin")
        if origin is None:
            foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        else:
            own = {host, self._own_authority, _authority(forwarded)} - {"", None}
            foreign = _authority(origin) not in own and not self._cors.allows(origin)
        if foreign:
            raise Forbidden("A page of another site may not write here. Allow its origin with --cors-origins.")

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "") if ":" in host else host.lower()
        except ValueError:
            return False
        return name in self._hosts or name.endswith(".localhost") or is_loopback(name)


def _authority(origin: str) -> str | None:
    """Host and port of an origin; None when it is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
