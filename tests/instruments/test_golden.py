"""Every shipped definition against golden vectors that were made without it (tools/golden/)."""

from __future__ import annotations

import pytest

from fhir_server.instruments.catalogue import shipped
from tests.instruments.golden import DEFINED, disagreements, vectors
from tests.instruments.responses import BASE, QUESTIONNAIRES
from tools.golden.vectors import Golden, all_golden

MADE = {made.instrument: made for made in all_golden()}


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_every_vector(instrument_id: str) -> None:
    instrument = shipped(BASE).instrument(instrument_id)
    wrong = [
        f"{vector['name']}: {what} is {found}, expected {expected}"
        for vector in vectors(instrument_id)
        for what, found, expected in disagreements(instrument, vector)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("instrument_id", DEFINED)
def test_every_item_score_band_and_stratum_is_expected_somewhere(instrument_id: str) -> None:
    instrument = shipped(BASE).instrument(instrument_id)
    expected = [vector["expect"] for vector in vectors(instrument_id)]
    values = {(name, value) for expect in expected for name, value in expect.get("scores", {}).items()}
    bands = {item for expect in expected for item in expect.get("bands", {}).items()}
    answers = {item for vector in vectors(instrument_id) for item in vector["answers"]}
    for score in instrument.scores:
        assert {value for name, value in values if name == score.name} - {None}, score.name
        assert {(score.name, code) for code in score.strata} <= values
        assert {(score.name, step.code) for step in (score.bands.steps if score.bands else ())} <= bands
        assert set(score.items) <= answers


@pytest.mark.parametrize("made", MADE.values(), ids=list(MADE))
def test_the_file_is_what_its_script_makes(made: Golden) -> None:
    assert (QUESTIONNAIRES / made.instrument / "golden.json").read_text() == made.text()
