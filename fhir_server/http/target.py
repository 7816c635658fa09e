"""The request target: path and query decoded without trusting them.

Each path segment is decoded on its own, so that an encoded slash never makes a new segment.
R4 http.html#3.1.0.1; RFC 3986 sections 2.1 and 3.3.
"""

from __future__ import annotations

from fhir_server.errors import FhirError
from fhir_server.model.url import decode_text

MAX_TARGET_BYTES = 65_536
"""Longest path and query together; more is a 414."""


def decode_path(raw_path: bytes) -> str:
    """The path below the FHIR base without its leading slash and at most one trailing one.

    Raises:
        FhirError: 400 when it is not decodable UTF-8 or has empty, dot or control segments.
    """
    path = raw_path.decode("latin-1")[1:] if raw_path[:1] == b"/" else raw_path.decode("latin-1")
    if path.endswith("/"):
        path = path[:-1]
    if "%" in path or not path.isascii():
        path = "/".join(_decode_segment(segment) for segment in path.split("/"))
    if "//" in path or "/." in path or path[:1] in ("/", "."):
        _refuse_odd_segments(path)
    if not path.isprintable():
        raise FhirError("The path contains control characters.", code="invalid")
    return path


def refuse_long_target(length: int) -> None:
    if length > MAX_TARGET_BYTES:
        raise FhirError(
            f"The URL is longer than {MAX_TARGET_BYTES} bytes. Search with POST [type]/_search instead.",
            status=414,
            code="too-long",
        )


def _decode_segment(segment: str) -> str:
    decoded = decode_text(segment.encode("latin-1"), "path")
    if "/" in decoded:
        raise FhirError("A path segment contains an encoded slash.", code="invalid")
    return decoded


def _refuse_odd_segments(path: str) -> None:
    segments = path.split("/")
    if "" in segments:
        raise FhirError("The path has an empty segment (two slashes in a row).", code="invalid")
    if "." in segments or ".." in segments:
        raise FhirError("The path has a dot segment. Send the URL normalised.", code="invalid")
