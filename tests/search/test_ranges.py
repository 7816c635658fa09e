"""Prefixes against arithmetic on exact decimals and on intervals (R4 search.html#prefix)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.parameters import date
from fhir_server.search.parameters.number import half_of_last_place, ordered, parse, ranges

decimals = st.decimals(-(10**9), 10**9, allow_nan=False, places=4)


@given(decimals, decimals)
def test_the_order_of_mapped_numbers_is_the_order_of_numbers(one: Decimal, other: Decimal) -> None:
    assert (ordered(one) < ordered(other)) == (one < other)
    assert (ordered(one) == ordered(other)) == (one == other)
    assert -(2**63) <= ordered(one) < 2**63


def test_zero_has_one_place() -> None:
    assert ordered(Decimal("-0.0")) == ordered(0) == 0


@given(target=decimals, value=decimals, prefix=st.sampled_from(["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]))
def test_prefixes_on_points_are_plain_comparisons(target: Decimal, value: Decimal, prefix: str) -> None:
    half = half_of_last_place(value, exponential=False)
    expected = {
        "eq": value - half <= target < value + half,
        "ne": not value - half <= target < value + half,
        "gt": target > value,
        "sa": target > value,
        "lt": target < value,
        "eb": target < value,
        "ge": target >= value,
        "le": target <= value,
    }[prefix]
    place = ordered(target)
    found = any(
        (low is None or place >= low) and (high is None or place <= high) for low, high in ranges(prefix, value, half)
    )
    assert found is expected


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("100", "0.5"),
        ("100.00", "0.005"),
        ("1e2", "5"),
        ("5.40e-3", "0.000005"),
        ("5.4", "0.05"),
        ("0.8", "0.05"),
        ("1.00e2", "0.5"),
    ],
)
def test_the_precision_of_a_number_is_half_of_its_last_place(text: str, half: str) -> None:
    prefix, number, found = parse("probability", text)
    assert (prefix, number, found) == ("eq", Decimal(text), Decimal(half))


periods = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: (min(ends), max(ends)))


@given(search=periods, target=periods, prefix=st.sampled_from(["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]))
def test_prefixes_on_periods_follow_the_moments_they_hold(
    search: tuple[int, int], target: tuple[int, int], prefix: str
) -> None:
    wanted, held = set(range(search[0], search[1] + 1)), set(range(target[0], target[1] + 1))
    expected = {
        "eq": held <= wanted,
        "ne": not held <= wanted,
        "gt": any(moment > search[1] for moment in held),
        "lt": any(moment < search[0] for moment in held),
        "ge": any(moment >= search[0] for moment in held),
        "le": any(moment <= search[1] for moment in held),
        "sa": all(moment > search[1] for moment in held),
        "eb": all(moment < search[0] for moment in held),
    }[prefix]
    start, end = target
    found = any(
        (start_low is None or start >= start_low)
        and (start_high is None or start <= start_high)
        and (end_low is None or end >= end_low)
        and (end_high is None or end <= end_high)
        for start_low, start_high, end_low, end_high in date.period_bounds(prefix, *search)
    )
    assert found is expected
