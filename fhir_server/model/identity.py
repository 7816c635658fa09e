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


@lru_cache(maxsize=65536)
def token(system: str, code: str) -> int:
    """Identity of a coded value; `system` is "" when the coding has none."""
    return hash64(f"{system}|{code}".encode())


@lru_cache(maxsize=4096)
def symbol(text: str) -> int:
    """Identity of a system, unit or version; the empty string is 0."""
    return hash64(text.encode()) if text else 0
