"""The clock of workflow: the system's, or one that a file holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from fhir_server.clock import clock_of
from fhir_server.settings import Settings


def test_without_a_file_it_is_the_system_s_in_the_server_s_zone() -> None:
    now = clock_of(Settings(time_zone="Europe/London")).now()
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    assert now.tzname() in ("GMT", "BST")


def test_a_file_is_read_at_each_use(tmp_path: Path) -> None:
    file = tmp_path / "now"
    file.write_text("2026-03-28T23:30:00Z\n")
    clock = clock_of(Settings(clock=str(file)))
    assert clock.today() == date(2026, 3, 28)
    file.write_text("2026-06-30T23:30:00Z")
    assert clock.today() == date(2026, 7, 1)  # British Summer Time: half past midnight
    assert clock.now().isoformat() == "2026-07-01T00:30:00+01:00"


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-03-28T23:30:00"])
def test_a_file_without_an_instant_is_refused_at_start(tmp_path: Path, text: str) -> None:
    file = tmp_path / "now"
    file.write_text(text)
    with pytest.raises(ValidationError, match="must be a file that holds an instant"):
        Settings(clock=str(file))


def test_a_file_that_is_not_there_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="must be a file that holds an instant"):
        Settings(clock=str(tmp_path / "none"))
