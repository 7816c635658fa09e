"""64-bit identities computed from values, so that no process needs a dictionary to write or query an index.

`rid` names a logical resource, `token` a system and code, `symbol` any other string (a unit, a
system). BLAKE2b truncated to 64 bits, signed to fit a BIGINT. The stores keep the text beside the
hash and refuse a collision at write (docs/decisions/0003).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


def hash64(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)


def rid(resource_type: str, logical_id: str) -> int:
    """Identity of the logical resource `resource_type/logical_id`."""
    return hash64(f"{resource_type}/{logical_id}".encode())


LONGEST_CACHED = 256
"""Characters of a text that a cache may hold on to: what clients send may have a million, and caches many entries."""


def token(system: str, code: str) -> int:
    """Identity of a coded value; `system` is "" when the coding has none."""
    find = _token if len(system) + len(code) <= LONGEST_CACHED else _token.__wrapped__
    return find(system, code)


@lru_cache(maxsize=65536)
def _token(system: str, code: str) -> int:
    return hash64(f"{system}|{code}".encode())


def symbol(text: str) -> int:
    """Identity of a system, unit or version; the empty string is 0."""
    return _symbol(text) if len(text) <= LONGEST_CACHED else hash64(text.encode())


@lru_cache(maxsize=4096)
def _symbol(text: str) -> int:
    return hash64(text.encode()) if text else 0
