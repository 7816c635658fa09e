"""Cursors: where the next page starts, encrypted because sort values are patient data.

A cursor belongs to one query and one kind of answer (search, history): it opens for no other.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import hash64
from fhir_server.search.request import SearchRequest

CURSOR_PARAMETER = "_cursor"
"""The parameter of page links that carries the cursor, beside the parameters of the search."""

_NONCE_BYTES = 12
_VERSION = b"1"


@dataclass(frozen=True, slots=True)
class Cursor:
    """`snapshot` is the seq the first page saw; `after` are the sort values of the last entry, its seq last."""

    snapshot: int
    after: tuple[int | str | None, ...]


def query_hash(request: SearchRequest) -> int:
    """Identity of what is searched: the type and the honoured parameters."""
    return hash64(repr((request.resource_type, request.used)).encode())


def encode(key: bytes, cursor: Cursor, *, kind: str, query: int) -> str:
    """`cursor` as URL-safe text. `key` has 32 bytes; `query` is the hash of the query it continues."""
    nonce = os.urandom(_NONCE_BYTES)
    plain = msgspec.msgpack.encode((cursor.snapshot, cursor.after))
    return urlsafe_b64encode(nonce + _cipher(key).encrypt(nonce, plain, _belonging(kind, query))).rstrip(b"=").decode()


def decode(key: bytes, text: str, *, kind: str, query: int) -> Cursor:
    """The cursor in `text`. Raises InvalidSearch when it was changed, or belongs to another query, kind or server."""
    try:
        sealed = urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        plain = _cipher(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _belonging(kind, query))
    except (InvalidTag, ValueError):
        raise InvalidSearch(
            "The page link is not one this server made for these parameters. Start again with the first page.",
            code="invalid",
        ) from None
    snapshot, after = msgspec.msgpack.decode(plain, type=tuple[int, tuple[int | str | None, ...]])
    return Cursor(snapshot, after)


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def _belonging(kind: str, query: int) -> bytes:
    return b"%s|%s|%d" % (_VERSION, kind.encode(), query)
