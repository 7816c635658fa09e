"""Every single change of a scoring definition is noticed by its golden vectors."""

from __future__ import annotations

import pytest

from tests.instruments.golden import DEFINED
from tests.instruments.mutations import unnoticed


@pytest.mark.torture
@pytest.mark.parametrize("instrument_id", DEFINED)
def test_every_change_is_noticed(instrument_id: str) -> None:
    assert list(unnoticed(instrument_id)) == []
