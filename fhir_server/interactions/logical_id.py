"""Logical ids: those we make, and which ones a client may choose (R4 datatypes.html#id)."""

from __future__ import annotations

import os
import re
import time
from hashlib import blake2b

from fhir_server.errors import FhirError

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


def new_id() -> str:
    """A UUID of version 7 (RFC 9562 5.7): random, and ordered by time so that index pages fill in order."""
    millis = time.time_ns() // 1_000_000
    value = millis << 80 | int.from_bytes(os.urandom(10), "big")
    return _uuid(value, 7)


def derived_id(*parts: bytes) -> str:
    """A UUID of version 8 (RFC 9562 5.8): always the same for the same parts."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return _uuid(int.from_bytes(digest.digest(), "big"), 8)


def _uuid(value: int, version: int) -> str:
    """128 bits as text, those of version and variant set."""
    value = value & ~(0xF << 76) | version << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def check_id(text: str) -> str:
    """`text` when it can be a logical id; a 400 otherwise."""
    if not _ID.fullmatch(text):
        raise FhirError("An id has 1 to 64 characters of A-Z, a-z, 0-9, - and . only.", code="value")
    return text
