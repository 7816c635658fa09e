"""JSON bodies in and out: decimals kept as sent, hostile documents refused (docs/decisions/0002).

R4 json.html; R4 datatypes.html#decimal (precision matters: 1.50 is not 1.5); RFC 8259.
"""

from __future__ import annotations

import json
import re
import secrets
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from fhir_server.errors import UnparseableBody

BOM = b"\xef\xbb\xbf"
LARGEST_EXPONENT = 300
"""Decimals beyond 1e300 or below 1e-300 are refused: no index or client could compare them."""

_LONG_NUMBER = re.compile(rb"\d{%d}" % (LARGEST_EXPONENT + 2))
_STRIDE = 60
_LONG_SAMPLED = re.compile(rb"\d{%d}" % (LARGEST_EXPONENT // _STRIDE))
"""So many digits in a row has each 60th byte of a body with a _LONG_NUMBER: a look at those spares that at all."""

_OPENERS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_HALF_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
_NOT_TEXT = "The body is not valid UTF-8, or has half a surrogate pair."


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise UnparseableBody(f"{text[:40]} is not a decimal this server can keep.") from error
    if value and abs(value.adjusted()) > LARGEST_EXPONENT:
        raise UnparseableBody(f"{text[:40]} is not a decimal this server can keep: its exponent is too large.")
    return value


_decode = msgspec.json.Decoder(float_hook=_decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def parse(body: bytes, *, max_depth: int) -> dict[str, Any]:
    """The JSON object in `body`, decimals as Decimal. Raises `UnparseableBody` with what is wrong and where."""
    content = _read(body, max_depth)
    if type(content) is not dict:
        raise UnparseableBody("The body must be one JSON object: a resource.")
    return content


def parse_array(body: bytes, *, max_depth: int) -> list[Any]:
    """The JSON array in `body` (a JSON Patch), read as `parse` reads."""
    content = _read(body, max_depth)
    if type(content) is not list:
        raise UnparseableBody("The body must be one JSON array: a JSON Patch.")
    return content


def _read(body: bytes, max_depth: int) -> Any:
    if body.startswith(BOM):
        body = body[len(BOM) :]
    if body.count(b"{") + body.count(b"[") > max_depth and _depth(body) > max_depth:
        raise UnparseableBody(f"The JSON is nested deeper than {max_depth} levels.")
    try:
        content = _decode(body)
        encoded = _encode(content)
    except msgspec.DecodeError as error:
        if _HALF_PAIR.search(body):
            raise UnparseableBody(_NOT_TEXT) from error
        raise UnparseableBody(f"The body is not valid JSON: {error}.") from error
    except UnicodeError as error:
        raise UnparseableBody(_NOT_TEXT) from error
    if _LONG_SAMPLED.search(body[::_STRIDE]) and _LONG_NUMBER.search(body):
        _refuse_large_integers(content)
    escaped = b"\\" in body
    if escaped and b"\\u0000" in encoded:
        _refuse_nul(content, str(content.get("resourceType", "")) if type(content) is dict else "")
    # A key dropped as a duplicate takes its two quotes along; only \u0022 writes a quote without one.
    if encoded != body and (encoded.count(b'"') != body.count(b'"') or (escaped and b"\\u0022" in body)):
        _refuse_duplicate_keys(body)
    return content


def decode(stored: bytes) -> Any:
    """The content of a body that this server wrote: nothing is checked again."""
    return _decode(stored)


def encode(content: Any) -> bytes:
    """Compact JSON, keys in their order, 1.50 as 1.50."""
    return _encode(content)


_MARK = f"@{secrets.token_hex(8)}"
_MARKED = f'"versionId":"{_MARK}"'.encode()


def stored_body(resource: dict[str, Any]) -> tuple[bytes, bytes]:
    """`resource` serialised around its `"versionId":"n","lastUpdated":"..."` (storage.base.Draft).

    `id` follows `resourceType`; `meta` stays where it was, or follows `id`; what the client said of versionId
    and lastUpdated is dropped (R4 resource.html#meta: the server sets them).
    """
    meta = resource.get("meta")
    kept = {key: value for key, value in meta.items() if key not in _SERVER_SET} if meta else {}
    ordered: dict[str, Any] = {"resourceType": resource["resourceType"], "id": resource["id"]}
    if meta is None:
        ordered["meta"] = None
    ordered.update(resource)
    ordered["meta"] = {"versionId": _MARK, **kept}
    head, _, tail = _encode(ordered).partition(_MARKED)
    return head, tail


_SERVER_SET = ("versionId", "lastUpdated", "_versionId", "_lastUpdated")


def _depth(body: bytes) -> int:
    deepest = depth = 0
    for found in _OPENERS.finditer(body):
        character = found.group()[:1]
        if character in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
        elif character != b'"':
            depth -= 1
    return deepest


def _refuse_large_integers(content: Any) -> None:
    """Integers beyond what `_decimal` keeps (R4 datatypes.html#decimal: a decimal may be written without fraction)."""
    if type(content) is int:
        if abs(content) >= 10 ** (LARGEST_EXPONENT + 1):
            raise UnparseableBody(
                f"{str(content)[:40]} is not a number this server can keep: its exponent is too large."
            )
    elif type(content) is dict or type(content) is list:
        for value in content.values() if type(content) is dict else content:
            _refuse_large_integers(value)


def _refuse_nul(content: Any, path: str) -> None:
    """A string with U+0000: PostgreSQL cannot keep it (R4 datatypes.html#string forbids it anyway)."""
    if isinstance(content, str):
        if "\x00" in content:
            raise UnparseableBody("A string contains the character U+0000.", expression=path)
    elif isinstance(content, dict):
        for key, value in content.items():
            _refuse_nul(key, path)
            _refuse_nul(value, f"{path}.{key}" if path else key)
    elif isinstance(content, list):
        for n, value in enumerate(content):
            _refuse_nul(value, f"{path}[{n}]")


def _refuse_duplicate_keys(body: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise UnparseableBody(f"The key {json.dumps(key)[:80]} stands twice in one object.")
            seen.add(key)
        return dict(pairs)

    json.loads(body, object_pairs_hook=check, parse_float=str, parse_int=str)
