"""Regular expressions of filters: the same answers as Python's, in linear time."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.terminology.pattern import Pattern
from fhir_server.terminology.refusal import Unanswerable

atoms = st.sampled_from(
    ["a", "b", "\\.", ".", "[ab]", "[^a]", "[a-c]", "\\d", "\\D", "\\w", "(a|b)", "(?:ab|)", "-", "é"]
)
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("({}|{})".format, inner, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?"])),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(pattern=patterns, text=st.text(alphabet="abc1.-_é", max_size=8))
def test_it_matches_what_python_matches_whole(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) is (re.fullmatch(pattern, text, re.DOTALL) is not None)


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        (r"C\d{2}(\.\d)?", ["C34", "C34.1"], ["C3", "C34.", "XC34"]),
        (r"^[A-Z]{3}$", ["ABC"], ["abc", "ABCD"]),
        (r"[]a]+", ["]a]"], ["b"]),
        (r"[^]a]", ["b"], ["]"]),
        (r"[a\-z]+", ["a-z"], ["b"]),
        (r"[+-]", ["-", "+"], ["a"]),
        (r"a\$", ["a$"], ["a"]),
        (r"[\d\s]*", ["1 2", ""], ["a"]),
        (r"\w+", ["é_1"], ["a-b"]),
        (r"", [""], ["a"]),
        (r"()*a", ["a"], ["b"]),
    ],
)
def test_a_pattern(pattern: str, found: list[str], missed: list[str]) -> None:
    compiled = Pattern(pattern)
    assert [text for text in [*found, *missed] if compiled.matches(text)] == found


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("(a", "invalid"), ("a)", "invalid"), ("[a", "invalid"), ("*a", "invalid"), ("a{2,1}", "invalid"),
        ("a{x}", "invalid"), ("[z-a]", "invalid"), ("a\\", "invalid"), ("(?=a)", "not-supported"),
        (r"(a)\1", "not-supported"), (r"a\b", "not-supported"), ("a^b", "not-supported"),
        ("a{9999}", "too-costly"), ("(a{20}){20}{20}", "too-costly"), ("(" * 500 + "a" + ")" * 500, "too-costly"),
    ],
)  # fmt: skip
def test_a_pattern_that_is_refused(pattern: str, code: str) -> None:
    with pytest.raises(Unanswerable) as refusal:
        Pattern(pattern)
    assert refusal.value.issues[0].code == code


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "(.*a){20}b"])
def test_no_pattern_takes_exponential_time(pattern: str) -> None:
    compiled = Pattern(pattern)
    start = time.perf_counter()
    assert not compiled.matches("a" * 5000)
    assert time.perf_counter() - start < 5


def test_work_on_all_texts_together_is_bounded() -> None:
    """Nearly every character of such a text comes upon a combination of states that was not met before."""
    compiled = Pattern("(a|b)*a(a|b){60}")
    text = "".join(random.Random(1).choices("ab", k=300_000))
    with pytest.raises(Unanswerable, match="takes too long"):
        compiled.matches(text)
