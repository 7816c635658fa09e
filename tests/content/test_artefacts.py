"""What the instruments, the demo and $apply need of the shipped files; what holds for all of them: test_check.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.content import shipped_resources
from fhir_server.demo import demo_resources
from fhir_server.instruments.catalogue import shipped
from fhir_server.validation import validate

BASE = "https://fhir.example.org/msk"
RESOURCES = shipped_resources(BASE)
BY_CANONICAL = {f"{resource['url']}|{resource['version']}": resource for resource in RESOURCES}
CODES = {
    resource["url"]: {concept["code"] for concept in resource["concept"]}
    for resource in RESOURCES
    if resource["resourceType"] == "CodeSystem"
}


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for element in value.values():
            yield from objects(element)
    elif isinstance(value, list):
        for element in value:
            yield from objects(element)


@pytest.mark.parametrize("instrument", shipped(BASE).ids)
def test_scored_forms_require_no_answer(instrument: str, repository: Path) -> None:
    """A response with a gap is stored, so that the published rule for missing answers, and an alert, can apply."""
    form = json.loads((repository / "questionnaires" / instrument / "questionnaire.json").read_text())
    assert not [one for one in objects(form) if one.get("required")]


def test_the_demo_is_valid() -> None:
    for resource in demo_resources(RESOURCES, BASE, "Europe/London"):
        validate(resource)


def test_scores_bands_and_algorithms_have_codes() -> None:
    for instrument in shipped(BASE).instruments:
        names = [score.name for score in instrument.scores] + [alert.name for alert in instrument.alerts]
        assert {f"{instrument.id}.{name}" for name in names} <= CODES[f"{BASE}/CodeSystem/msk-score"]
        bands = [band.code for score in instrument.scores if score.bands for band in score.bands.steps]
        assert {f"{instrument.id}.{code}" for code in bands} <= CODES[f"{BASE}/CodeSystem/msk-score-band"]
        algorithm = f"{instrument.algorithm}-{instrument.algorithm_version}"
        assert algorithm in CODES[f"{BASE}/CodeSystem/msk-scoring-algorithm"]


def test_steps_are_counted_from_coded_events() -> None:
    anchor = f"{BASE}/StructureDefinition/msk-step-anchor"
    events = {
        part["valueCode"]
        for plan in RESOURCES
        if plan["resourceType"] == "PlanDefinition"
        for action in plan["action"]
        for extension in action.get("extension", ())
        if extension["url"] == anchor
        for part in extension["extension"]
        if part["url"] == "event"
    }
    assert {"received", "operation"} <= events <= CODES[f"{BASE}/CodeSystem/msk-anchor"]
