"""Part of a file by its bytes: a download that broke off goes on (RFC 9110 section 14)."""

from __future__ import annotations

import re

from fhir_server.errors import FhirError

_ONE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.ASCII)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """From and up to (exclusive); None for the whole: also for several ranges, or what is none (14.2).

    Raises FhirError (416) for one that begins beyond the end.
    """
    found = _ONE.fullmatch(header.replace(" ", "")) if header else None
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(size - int(suffix), 0), size
    else:
        start, stop = int(first), size if last is None else min(int(last) + 1, size)
        if last is not None and int(last) < start:
            return None
    if start >= size:
        raise FhirError(
            f"The file has {size} bytes only.", status=416, code="value", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, stop
