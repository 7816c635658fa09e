"""Cursors: where a page starts, encrypted because sort values are patient data.

A cursor belongs to one query and one kind of answer (search, history): it opens for no other.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
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
_VERSION = b"2"


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page starts, in the snapshot of the first."""

    snapshot: int
    """The seq the first page saw."""
    after: tuple[int | str | None, ...] | None
    """The sort values of the entry before the page, its seq last; None for the first page."""
    backward: bool = False
    """The page ends before `after` instead of starting behind it."""
    total: int | None = None
    """The total that the first page counted."""
    included: tuple[int, int] | None = None
    """The page goes on with what its matches include, behind this place; the matches were sent before."""


def query_hash(request: SearchRequest) -> int:
    """Identity of what is searched: the types, the compartment and the honoured parameters."""
    return hash64(repr((request.types, request.compartment, request.used)).encode())


def encode(key: bytes, cursor: Cursor, *, kind: str, query: int) -> str:
    """`cursor` as URL-safe text. `key` has 32 bytes; `query` is the hash of the query it continues."""
    nonce = os.urandom(_NONCE_BYTES)
    plain = msgspec.msgpack.encode(cursor)
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
    return msgspec.msgpack.decode(plain, type=Cursor)


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def _belonging(kind: str, query: int) -> bytes:
    return b"%s|%s|%d" % (_VERSION, kind.encode(), query)
