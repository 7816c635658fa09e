"""JSON bodies (R4 json.html, RFC 8259) and the guards of docs/decisions/0002."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import UnparseableBody
from fhir_server.model.json import encode, parse, parse_array, stored_body


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"resourceType":"Patient","name":[{"family":"x\\u0000"}]}', "Patient.name[0].family"),
        (
            b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","gender":"\\u0000"}}]}',
            "Bundle.entry[0].resource.gender",
        ),
        (b'[{"op":"add","value":["\\u0000"]}]', "[0].value[0]"),
    ],
)
def test_a_nul_is_named(body: bytes, place: str) -> None:
    with pytest.raises(UnparseableBody) as refusal:
        (parse_array if body.startswith(b"[") else parse)(body, max_depth=100)
    assert refusal.value.issues[0].expression == place


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a":1,"a":2}', '"a" stands twice'),
        (b'{"a": {"x":1,"\\u0078":2}}', '"x" stands twice'),
        (b'{"a":"\\u0022","b":1,"b":2}', '"b" stands twice'),
        (b'{"resourceType":"Patient","name":[{"family":"x\\u0000"}]}', "U+0000"),
        (b"[1]", "one JSON object"),
        (b"", "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":1}x', "not valid JSON"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"a":"\\ud800x"}', "surrogate"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":1e400}', "exponent"),
        (b'{"a":[1,{"b":-%s}]}' % (b"9" * 302), "exponent"),
        (b'{"a":"1","b":%s}' % (b"1" * 400), "exponent"),
        (b'{"a":' * 10_000, "nested deeper than 100"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper than 100"),
    ],
)
def test_hostile_bodies_are_refused_with_the_reason(body: bytes, says: str) -> None:
    with pytest.raises(UnparseableBody, match=says.replace("+", r"\+")) as refusal:
        parse(body, max_depth=100)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\\\\u0000"}',
        b'{"a":"\\"","b":"\\u0022"}',
        b'{"a":1,"b":{"a":1}}',
        b'{"a":%s}' % (b"9" * 301),
        b'{"a":"%s"}' % (b"9" * 400),
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"' + b"[" * 300 + b'"}',
        b'{"a":' + b"[" * 99 + b"]" * 99 + b"}",
    ],
)
def test_bodies_that_only_look_hostile_are_read(body: bytes) -> None:
    assert parse(body, max_depth=100) == json.loads(body.removeprefix(b"\xef\xbb\xbf"))


def test_decimals_keep_their_precision() -> None:
    """R4 datatypes.html#decimal"""
    body = b'{"a":1.50,"b":0.1234567890123456789012345,"c":-0.0,"d":100}'
    content = parse(body, max_depth=10)
    assert content["a"] == Decimal("1.50")
    assert encode(content) == body


def test_the_stored_body_is_split_where_the_server_writes_version_and_time() -> None:
    resource = {
        "resourceType": "Patient",
        "active": True,
        "id": "x",
        "meta": {"versionId": "9", "tag": [{"code": "t"}]},
    }
    head, tail = stored_body(resource)
    assert head + b"<>" + tail == b'{"resourceType":"Patient","id":"x","active":true,"meta":{<>,"tag":[{"code":"t"}]}}'
    head, tail = stored_body({"resourceType": "Patient", "id": "x", "active": True})
    assert head + b"<>" + tail == b'{"resourceType":"Patient","id":"x","meta":{<>},"active":true}'


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.decimals(-(10**20), 10**20, allow_nan=False, places=4)
    | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_text, _values, max_size=5))
def test_what_is_read_is_written_again_the_same(content: dict[str, Any]) -> None:
    again = parse(encode(content), max_depth=100)
    assert again == content
    assert repr(again) == repr(content)
