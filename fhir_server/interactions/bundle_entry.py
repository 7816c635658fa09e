"""The entries of a batch or transaction Bundle as requests (R4 http.html#transaction, bundle.html)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server.errors import FhirError, InvalidResource, TooLarge
from fhir_server.interactions.bundle import entry as entry_bytes
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.model.instant import MICROS, format_instant, http_date, parse_instant
from fhir_server.model.url import decode_query

METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")

FOREIGN = "(a url that is not relative to this server)"
"""Stands for a path that cannot be one of ours: the entry is answered with 404."""

_HEADERS = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifNoneExist": "if-none-exist",
}


@dataclass(slots=True)
class BundleEntry:
    """One entry of the Bundle sent, at `index`."""

    index: int
    full_url: str | None
    request: Request
    head: bool = False
    """A HEAD: carried out as a GET, answered without the resource."""

    @property
    def expression(self) -> str:
        return f"Bundle.entry[{self.index}]"


def sent_entries(server: Server, bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Raises TooLarge (413) over settings.max_bundle_entries."""
    sent: list[dict[str, Any]] = bundle.get("entry", [])
    if len(sent) > server.settings.max_bundle_entries:
        raise TooLarge(
            f"The Bundle has {len(sent)} entries; this server takes {server.settings.max_bundle_entries}: split it."
        )
    return sent


def read_entry(outer: Request, index: int, entry: dict[str, Any]) -> BundleEntry:
    """Entry `index` of the Bundle in `outer`. Raises InvalidResource when it asks for nothing."""
    place = f"Bundle.entry[{index}]"
    asked = entry.get("request")
    if asked is None:
        raise InvalidResource("An entry of a batch or transaction needs a request.", expression=f"{place}.request")
    method, url = asked.get("method"), asked.get("url")
    if method is None or url is None:
        # Valid R4: an extension may say why the value is absent.
        raise InvalidResource("The request of an entry needs a method and a url.", expression=f"{place}.request")
    if method not in METHODS:
        raise InvalidResource(f"{method} is not possible in a Bundle.", expression=f"{place}.request.method")
    if method in ("PUT", "POST", "PATCH") and "resource" not in entry and not _is_bare_operation(method, url):
        raise InvalidResource(f"{method} needs a resource.", expression=f"{place}.resource")
    if not isinstance(entry.get("resource", {}), dict):
        raise InvalidResource("The resource of an entry must be an object.", expression=f"{place}.resource")
    if method == "POST" and "resource" in entry and url.partition("?")[0].endswith("/_search"):
        raise InvalidResource(
            "A search in a Bundle takes no resource: put its parameters in the url.", expression=f"{place}.resource"
        )
    path, _, query = url.removeprefix(f"{outer.base_url}/").lstrip("/").partition("?")
    if "%" in path or "://" in path:
        # No type, id or operation has a character that needs encoding.
        path = FOREIGN
    try:
        parameters = decode_query(query.encode())
    except FhirError as error:
        raise error.located(f"{place}.request.url") from error
    headers = {header: str(asked[key]) for key, header in _HEADERS.items() if key in asked}
    if "ifModifiedSince" in asked:
        # An instant here, an HTTP date as a header (R4 bundle.html).
        headers["if-modified-since"] = http_date((parse_instant(asked["ifModifiedSince"]) or 0) // MICROS)
    if "prefer" in outer.headers:
        headers["prefer"] = outer.headers["prefer"]
    inner = Request(
        "GET" if method == "HEAD" else method,
        path.strip("/"),
        parameters,
        headers,
        resource=entry.get("resource"),
        base_url=outer.base_url,
        scope=outer.scope,
        in_bundle=True,
    )
    return BundleEntry(index, entry.get("fullUrl"), inner, head=method == "HEAD")


def _is_bare_operation(method: str, url: str) -> bool:
    return method == "POST" and ("$" in url or url.partition("?")[0].endswith("_search"))


async def answer_entry(entry: BundleEntry, response: Response, *, representation: bool) -> bytes:
    """The entry of the response Bundle. A read's resource always stands in it, a write's when it was asked for."""
    facts: dict[str, Any] = {"status": str(response.status)}
    version = response.version
    if version is not None:
        if response.status in (200, 201) and entry.request.method != "GET":
            place = f"{version.resource_type}/{version.logical_id}/_history/{version.version_id}"
            facts["location"] = place
        facts["etag"] = response.headers.get("ETag", f'W/"{version.version_id}"')
        facts["lastModified"] = format_instant(version.last_updated).decode()
    if response.outcome is not None:
        facts["outcome"] = response.outcome
    reads = entry.request.method == "GET" or version is None
    resource = None
    if response.outcome is None and not entry.head and (reads or representation) and _has_body(response):
        resource = await _whole(response)
    full_url = None
    if resource is not None and version is not None:
        full_url = f"{entry.request.base_url}/{version.resource_type}/{version.logical_id}"
    return entry_bytes(full_url=full_url, resource=resource, response=facts)


def _has_body(response: Response) -> bool:
    return response.status not in (204, 304) and response.body != b""


async def _whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([part async for part in response.body])


def refused_entry(error: FhirError) -> bytes:
    """An entry's failure, answered in its place."""
    return entry_bytes(response={"status": str(error.status), "outcome": error.as_json()})
