"""Percent-decoding that trusts nothing: of requests, of entries of Bundles and of criteria (RFC 3986 section 2.1)."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from fhir_server.errors import FhirError

MAX_PARAMETERS = 2_000


def decode_query(query_string: bytes) -> list[tuple[str, str]]:
    """Name and value pairs in the order sent; a name without a value has an empty one.

    Raises:
        FhirError: 400 when it is not decodable UTF-8, holds U+0000 or too many parameters.
    """
    if not query_string:
        return []
    if query_string.count(b"&") >= MAX_PARAMETERS:
        raise FhirError(f"More than {MAX_PARAMETERS} parameters. Send fewer.", code="too-long")
    if b"%" not in query_string and b"+" not in query_string and query_string.isascii():
        text = query_string.decode("ascii")
        return [(name, value) for name, _, value in (pair.partition("=") for pair in text.split("&") if pair)]
    pairs: list[tuple[str, str]] = []
    for pair in query_string.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            pairs.append((decode_text(name, "query"), decode_text(value, "query")))
    return pairs


def decode_text(encoded: bytes, where: str) -> str:
    """`encoded` as text; `where` it stands, for the refusal (400) of what is not UTF-8 or holds U+0000."""
    try:
        text = unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        raise FhirError(f"The {where} is not UTF-8 after percent-decoding.", code="invalid") from None
    if "\0" in text:
        raise FhirError(f"The {where} contains U+0000.", code="invalid")
    return text
