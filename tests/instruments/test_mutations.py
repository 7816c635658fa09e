"""A changed weight, reversal, recode, constant, missing rule, option or table cell makes golden vectors fail."""

from __future__ import annotations

import pytest

from tests.instruments.golden import DEFINED
from tests.instruments.mutations import unnoticed

SAMPLED = 23
"""One change in so many; tests/torture/test_score_mutations.py makes all of them."""


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_a_sample_of_changes_is_noticed(instrument_id: str) -> None:
    assert list(unnoticed(instrument_id, every=SAMPLED)) == []
