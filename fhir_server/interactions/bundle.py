"""Bundles written from bytes that are stored already (R4 bundle.html)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fhir_server.interactions.exchange import Request
from fhir_server.model.json import encode
from fhir_server.search.page import CURSOR_PARAMETER

Parameters = tuple[tuple[str, str], ...]


def entry(
    *,
    full_url: str | None = None,
    resource: bytes | None = None,
    search_mode: str | None = None,
    request: dict[str, Any] | None = None,
    response: dict[str, Any] | None = None,
) -> bytes:
    """One Bundle.entry; `resource` is JSON that is put in as it is."""
    parts = []
    if full_url is not None:
        parts.append(b'"fullUrl":' + encode(full_url))
    if resource is not None:
        parts.append(b'"resource":' + resource)
    if search_mode is not None:
        parts.append(b'"search":{"mode":"%s"}' % search_mode.encode())
    if request is not None:
        parts.append(b'"request":' + encode(request))
    if response is not None:
        parts.append(b'"response":' + encode(response))
    return b"{" + b",".join(parts) + b"}"


def bundle(
    kind: str, entries: list[bytes], *, total: int | None = None, links: list[dict[str, str]] | None = None
) -> bytes:
    """A Bundle of `entries`; an empty one has no entry element (R4 json.html: no empty arrays)."""
    parts = [b'{"resourceType":"Bundle","type":"%s"' % kind.encode()]
    if total is not None:
        parts.append(b'"total":%d' % total)
    if links:
        parts.append(b'"link":' + encode(links))
    if entries:
        parts.append(b'"entry":[' + b",".join(entries) + b"]")
    return b",".join(parts) + b"}"


def links(
    request: Request, path: str, parameters: Parameters, following: str | None, current: str | None = None
) -> list[dict[str, str]]:
    """self, with the parameters that were honoured (R4 search.html#conformance), and next.

    `current` and `following` are the cursors of this page (None: the first) and the one behind it.
    """
    return search_links(request, path, parameters, {} if following is None else {"next": following}, current)


def search_links(
    request: Request,
    path: str,
    parameters: Parameters,
    cursors: Mapping[str, str | None],
    current: str | None = None,
) -> list[dict[str, str]]:
    """self, and for each relation of `cursors` the page of its cursor; None is the page without one."""
    url = f"{request.base_url}/{path}" if path else request.base_url
    if parameters:
        url = f"{url}?{urlencode(parameters, safe='|,:/$')}"
    paged = f"{url}{'&' if parameters else '?'}{CURSOR_PARAMETER}="
    found = [{"relation": "self", "url": url if current is None else paged + quote(current)}]
    found += [
        {"relation": relation, "url": url if cursor is None else paged + cursor} for relation, cursor in cursors.items()
    ]
    return found
