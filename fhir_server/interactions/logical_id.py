"""Logical ids: those we make, and which ones a client may choose (R4 datatypes.html#id)."""

from __future__ import annotations

import os
import re
import time

from fhir_server.errors import FhirError

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


def new_id() -> str:
    """A UUID of version 7 (RFC 9562 5.7): random, and ordered by time so that index pages fill in order."""
    millis = time.time_ns() // 1_000_000
    value = millis << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def check_id(text: str) -> str:
    """`text` when it can be a logical id; a 400 otherwise."""
    if not _ID.fullmatch(text):
        raise FhirError("An id has 1 to 64 characters of A-Z, a-z, 0-9, - and . only.", code="value")
    return text
