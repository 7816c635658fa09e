"""A clinic on a server of its own, whose clock the tests of a module move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.steps import Clinic, running_clinic


@pytest.fixture(scope="module")
def clinic_server(engine: str, new_stocked_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with running_clinic(new_stocked_database(engine), tmp_path_factory.mktemp("clinic")) as clinic:
        yield clinic


@pytest.fixture
def clinic(clinic_server: Clinic) -> Clinic:
    """On 2 March 2026 at nine, with a new patient."""
    clinic_server.now("2026-03-02T09:00:00+00:00")
    clinic_server.new_patient()
    return clinic_server
