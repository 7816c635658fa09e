"""The conditional headers of R4 http.html#concurrency and #cread, as facts about a request."""

from __future__ import annotations

import re

from fhir_server.errors import FhirError, VersionConflict
from fhir_server.interactions.exchange import Request
from fhir_server.model.instant import MICROS, parse_http_date
from fhir_server.storage.base import StoredVersion

_ETAG = re.compile(r'(?:W/)?"([A-Za-z0-9\-.]{1,64})"')


def etag(version: StoredVersion) -> str:
    """R4 http.html#versioning: a weak ETag of the version id."""
    return f'W/"{version.version_id}"'


def check_if_match(request: Request, current: StoredVersion | None) -> None:
    """Refuse a stale If-Match (412), and one that is not a single ETag of ours (400)."""
    header = request.header("if-match")
    if header is None:
        return
    if header.strip() == "*":
        if current is None or current.body is None:
            raise VersionConflict("If-Match: * needs a current version, and there is none.")
        return
    wanted = _ETAG.fullmatch(header.strip())
    if wanted is None:
        raise FhirError('If-Match must be one ETag as this server gives them, for example W/"3".', code="value")
    if current is None:
        raise VersionConflict("If-Match names a version of a resource that does not exist.")
    if wanted.group(1) != str(current.version_id):
        raise VersionConflict(
            f"If-Match asks for version {wanted.group(1)}, but the current version is {current.version_id}:"
            " read it and try again."
        )


def is_not_modified(request: Request, version: StoredVersion) -> bool:
    """R4 http.html#cread: If-None-Match decides; If-Modified-Since only without it (RFC 9110 13.2.2)."""
    header = request.header("if-none-match")
    if header is not None:
        return header.strip() == "*" or etag(version).removeprefix("W/") in _tags(header)
    since = request.header("if-modified-since")
    if since is None:
        return False
    seconds = parse_http_date(since)
    return seconds is not None and version.last_updated // MICROS <= seconds


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def must_not_exist(request: Request) -> bool:
    """If-None-Match: * on an update: create only (RFC 9110 13.1.2). Anything else there is a 400."""
    header = request.header("if-none-match")
    if header is None:
        return False
    if header.strip() != "*":
        raise FhirError("On an update only If-None-Match: * has a meaning: create, never replace.", code="value")
    return True
