"""history of a resource, a type and the system (R4 http.html#history)."""

from __future__ import annotations

from fhir_server import spec
from fhir_server.errors import InvalidSearch, ResourceNotFound
from fhir_server.interactions.answer import version_headers
from fhir_server.interactions.binary import complete_body
from fhir_server.interactions.bundle import bundle, entry, links
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.subset import PARAMETERS, Subset, read_subset
from fhir_server.model.dates import period_of
from fhir_server.model.identity import hash64
from fhir_server.model.instant import format_instant, parse_instant
from fhir_server.search.page import CURSOR_PARAMETER, Cursor, decode, encode
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.query import HistoryQuery

KIND = "history"
VERBS = {"create": ("POST", "201"), "update": ("PUT", "200"), "delete": ("DELETE", "204")}


async def history(
    server: Server, request: Request, resource_type: str | None = None, logical_id: str | None = None
) -> Response:
    """A Bundle of versions, newest first. An instance that never was is a 404; a deleted one has a history."""
    query, kept, cursor = _query(server, request, resource_type, logical_id)
    identity = hash64(repr((resource_type, logical_id, kept)).encode())
    key = await server.store.secret("cursor")
    if cursor is not None:
        at = decode(key, cursor, kind=KIND, query=identity)
        query = _continued(query, at)
    page = await server.store.history(request.scope, query)
    if resource_type is not None and logical_id is not None and not page.versions:
        await _check_known(server, request, resource_type, logical_id)
    path = "/".join(part for part in (resource_type, logical_id, "_history") if part)
    following = None
    if page.next_before is not None:
        following = encode(key, Cursor(page.snapshot, (page.next_before,)), kind=KIND, query=identity)
    subset = read_subset(server, request, (resource_type,) if resource_type else tuple(spec.RESOURCE_TYPES))
    entries = [await _entry(server, request, version, subset) for version in page.versions]
    found = links(request, path, kept, following, cursor)
    return Response(200, bundle("history", entries, total=page.total, links=found))


async def _check_known(server: Server, request: Request, resource_type: str, logical_id: str) -> None:
    """Nothing is in the window: is there anything at all?"""
    if await server.store.read(request.scope, resource_type, logical_id) is None:
        raise ResourceNotFound(f"There is no {resource_type} with the id {logical_id}.")


def _query(
    server: Server, request: Request, resource_type: str | None, logical_id: str | None
) -> tuple[HistoryQuery, tuple[tuple[str, str], ...], str | None]:
    """The query, the parameters honoured and the cursor. Unknown parameters are refused: they would not narrow it."""
    values: dict[str, str] = {}
    parts: list[tuple[str, str]] = []
    for name, value in request.query:
        if name in ("_format", "_pretty"):
            continue
        if name in PARAMETERS:
            parts.append((name, value))
            continue
        if name not in ("_since", "_at", "_count", CURSOR_PARAMETER):
            raise InvalidSearch(
                f"History has the parameters _since, _at, _count, _summary and _elements, not {name}.",
                code="not-supported",
            )
        if name in values:
            raise InvalidSearch(f"The parameter {name} may stand only once.")
        values[name] = value
    cursor = values.pop(CURSOR_PARAMETER, None)
    count = _count(server, values.get("_count"))
    zone = server.settings.time_zone
    since = _moment("_since", values["_since"], zone)[0] if "_since" in values else None
    at = _moment("_at", values["_at"], zone) if "_at" in values else (None, None)
    query = HistoryQuery(resource_type, logical_id, since, at[0], at[1], count)
    return query, (*values.items(), *parts), cursor


def _moment(name: str, text: str, time_zone: str) -> tuple[int, int]:
    """First and last microsecond of a date, dateTime or instant."""
    exact = parse_instant(text)
    if exact is not None:
        return exact, exact
    period = period_of(text, time_zone)
    if period is None:
        raise InvalidSearch(f"{name} must be a date or an instant such as 2026-11-23T08:00:00Z.")
    return period[0] * 1000, period[1] * 1000 + 999


def _count(server: Server, text: str | None) -> int:
    if text is None:
        return server.settings.default_count
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidSearch("_count must be a whole number, 0 or more.")
    return min(int(text), server.settings.max_count)


def _continued(query: HistoryQuery, at: Cursor) -> HistoryQuery:
    assert at.after is not None
    before = at.after[0]
    assert isinstance(before, int)
    return HistoryQuery(
        query.resource_type, query.logical_id, query.since, query.at_low, query.at_high, query.count,
        snapshot=at.snapshot, before=before,
    )  # fmt: skip


async def _entry(server: Server, request: Request, version: StoredVersion, subset: Subset) -> bytes:
    verb, status = VERBS[version.method]
    url = f"{version.resource_type}/{version.logical_id}"
    headers = version_headers(version)
    body = await complete_body(server, request, version) if version.body is not None else None
    return entry(
        full_url=f"{request.base_url}/{url}",
        resource=subset.of(body) if body is not None else None,
        request={"method": verb, "url": version.resource_type if verb == "POST" else url},
        response={"status": status, "etag": headers["ETag"], "lastModified": _last_modified(version)},
    )


def _last_modified(version: StoredVersion) -> str:
    """bundle.html: entry.response.lastModified is an instant."""
    return format_instant(version.last_updated).decode()
