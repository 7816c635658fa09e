"""Cursors open only for the query, the kind of answer and the key they were made for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.errors import InvalidSearch
from fhir_server.search.page import Cursor, decode, encode, query_hash
from fhir_server.search.parse import parse_search

KEY = bytes(range(32))
integers = st.integers(-(2**63), 2**63 - 1)


@given(snapshot=st.integers(0, 2**62), after=st.lists(st.none() | integers | st.text()), query=integers)
def test_a_cursor_comes_back_as_it_was(snapshot: int, after: list[int | str | None], query: int) -> None:
    cursor = Cursor(snapshot, tuple(after))
    text = encode(KEY, cursor, kind="search", query=query)
    assert decode(KEY, text, kind="search", query=query) == cursor
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(position=st.integers(0, 10_000), query=integers)
def test_a_changed_cursor_is_refused(position: int, query: int) -> None:
    text = encode(KEY, Cursor(7, (1, "Smith", 9)), kind="search", query=query)
    # Not the last character: its lowest bits are padding and say nothing.
    place = position % (len(text) - 1)
    changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
    with pytest.raises(InvalidSearch, match="Start again with the first page"):
        decode(KEY, changed, kind="search", query=query)


def test_a_cursor_of_another_query_kind_or_server_is_refused() -> None:
    text = encode(KEY, Cursor(7, (1,)), kind="search", query=1)
    for key, kind, query in ((KEY, "search", 2), (KEY, "history", 1), (KEY[::-1], "search", 1)):
        with pytest.raises(InvalidSearch):
            decode(key, text, kind=kind, query=query)


@pytest.mark.parametrize("text", ["", "abc", "é", "=" * 40, "A" * 2000])
def test_rubbish_is_refused(text: str) -> None:
    with pytest.raises(InvalidSearch):
        decode(KEY, text, kind="search", query=1)


def test_sort_values_cannot_be_read_in_the_cursor() -> None:
    assert "Smith" not in encode(KEY, Cursor(7, ("Smith",)), kind="search", query=1)


def test_the_query_of_a_cursor_is_what_was_honoured() -> None:
    first = parse_search("Patient", [("family", "smith"), ("colour", "red")], strict=False)
    same = parse_search("Patient", [("family", "smith"), ("_cursor", "x")], strict=False)
    other = parse_search("Patient", [("family", "smythe")], strict=False)
    elsewhere = parse_search("Practitioner", [("family", "smith")], strict=False)
    assert query_hash(first) == query_hash(same)
    assert len({query_hash(first), query_hash(other), query_hash(elsewhere)}) == 3
