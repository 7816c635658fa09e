"""The headers of a request, one value a name (RFC 9110 sections 5.3 and 5.5)."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.errors import FhirError

_CRITERIA = "if-none-exist"
_LISTS = frozenset(("accept", "accept-encoding", "accept-language", "if-match", "if-none-match", "prefer", "cookie"))
"""Fields that may stand several times: their values are joined."""
_READ = frozenset(
    (_CRITERIA, "authorization", "content-encoding", "content-length", "content-type", "host", "if-modified-since",
     "origin", "x-security-context", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix")
)  # fmt: skip
"""Fields that decide something and have one value."""


def read_headers(sent: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """By lower-case name. What stands twice is not decided by chance: lists are joined, others keep the first value.

    `refuse_ambiguous` says which of those cannot be served.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in sent:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name in _LISTS:
            headers[name] = f"{headers[name]}, {value}"
    return headers


def refuse_ambiguous(headers: dict[str, str], sent: list[tuple[bytes, bytes]]) -> None:
    """Raise FhirError (400) for a field of one value that stands twice, and criteria that are not UTF-8.

    Criteria in raw UTF-8 are read as that, in place.
    """
    names = [name for name, _ in sent]
    if len(set(names)) != len(names):
        for name in _READ:
            if names.count(name.encode()) > 1:
                raise FhirError(f"The header {name} stands more than once: send it once.", code="value")
    criteria = headers.get(_CRITERIA)
    if criteria is not None and not criteria.isascii():
        try:
            headers[_CRITERIA] = criteria.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            raise FhirError(f"The header {_CRITERIA} is not UTF-8: percent-encode it.", code="value") from None
