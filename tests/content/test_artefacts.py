"""The shipped files agree with each other: every canonical resolves and every code of ours exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.content import shipped_resources
from fhir_server.demo import demo_resources
from fhir_server.instruments.catalogue import shipped
from fhir_server.operations.apply import ANCHORS
from fhir_server.validation import validate

BASE = "https://fhir.example.org/msk"
RESOURCES = shipped_resources(BASE)
BY_CANONICAL = {f"{resource['url']}|{resource['version']}": resource for resource in RESOURCES}
CODES = {
    resource["url"]: {concept["code"] for concept in resource["concept"]}
    for resource in RESOURCES
    if resource["resourceType"] == "CodeSystem"
}
EXTENSIONS = {
    resource["url"]
    for resource in RESOURCES
    if resource["resourceType"] == "StructureDefinition" and resource["type"] == "Extension"
}


def named(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for element in value.values():
            yield from objects(element)
    elif isinstance(value, list):
        for element in value:
            yield from objects(element)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for element in value.values():
            yield from texts(element)
    elif isinstance(value, list):
        for element in value:
            yield from texts(element)


@pytest.mark.parametrize("instrument", shipped(BASE).ids)
def test_scored_forms_require_no_answer(instrument: str, repository: Path) -> None:
    """A response with a gap is stored, so that the published rule for missing answers, and an alert, can apply."""
    form = json.loads((repository / "questionnaires" / instrument / "questionnaire.json").read_text())
    assert not [one for one in objects(form) if one.get("required")]


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_every_artefact_is_valid(resource: dict[str, Any]) -> None:
    validate(resource)


def test_the_demo_is_valid() -> None:
    for resource in demo_resources(RESOURCES, BASE, "Europe/London"):
        validate(resource)


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_every_versioned_canonical_of_ours_is_shipped(resource: dict[str, Any]) -> None:
    canonicals = [text for text in texts(resource) if re.fullmatch(rf"{BASE}/[^ |]+\|[^ ]+", text)]
    assert [canonical for canonical in canonicals if canonical not in BY_CANONICAL] == []


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_every_code_of_ours_exists(resource: dict[str, Any]) -> None:
    codings = [
        (coding["system"], coding["code"])
        for coding in objects({element: value for element, value in resource.items() if element != "meta"})
        if str(coding.get("system", "")).startswith(BASE) and "code" in coding
    ]
    assert [coding for coding in codings if coding[1] not in CODES.get(coding[0], ())] == []


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_every_extension_of_ours_is_defined(resource: dict[str, Any]) -> None:
    urls = [value["url"] for value in objects(resource.get("extension", [])) if "/" in value.get("url", "")]
    urls += [value["url"] for value in objects(resource.get("action", [])) if "/" in value.get("url", "")]
    assert [url for url in urls if url.startswith(BASE) and url not in EXTENSIONS] == []


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_one_resource_per_business_version(resource: dict[str, Any]) -> None:
    if resource["resourceType"] != "OperationDefinition":
        assert resource["id"] == f"{resource['url'].rsplit('/', 1)[1]}-{resource['version']}"
    assert BY_CANONICAL[f"{resource['url']}|{resource['version']}"] is resource


def test_ids_are_unique() -> None:
    keys = [named(resource) for resource in RESOURCES]
    assert len(keys) == len(set(keys))


def test_value_sets_and_extension_bindings_name_shipped_systems() -> None:
    for resource in RESOURCES:
        if resource["resourceType"] == "ValueSet":
            for include in resource["compose"]["include"]:
                assert include["system"] in CODES, named(resource)


def test_scores_bands_and_algorithms_have_codes() -> None:
    for instrument in shipped(BASE).instruments:
        names = [score.name for score in instrument.scores] + [alert.name for alert in instrument.alerts]
        assert {f"{instrument.id}.{name}" for name in names} <= CODES[f"{BASE}/CodeSystem/msk-score"]
        bands = [band.code for score in instrument.scores if score.bands for band in score.bands.steps]
        assert {f"{instrument.id}.{code}" for code in bands} <= CODES[f"{BASE}/CodeSystem/msk-score-band"]
        algorithm = f"{instrument.algorithm}-{instrument.algorithm_version}"
        assert algorithm in CODES[f"{BASE}/CodeSystem/msk-scoring-algorithm"]


def test_anchor_parameters_are_the_anchor_codes() -> None:
    definition = BY_CANONICAL[f"{BASE}/OperationDefinition/PlanDefinition-apply|1.0.0"]
    assert set(ANCHORS) <= CODES[f"{BASE}/CodeSystem/msk-anchor"]
    assert set(ANCHORS) < {parameter["name"] for parameter in definition["parameter"]}


@pytest.mark.parametrize("resource", [r for r in RESOURCES if "experimental" in r], ids=named)
def test_nothing_claims_to_be_for_real_use(resource: dict[str, Any]) -> None:
    assert resource["experimental"] is (resource["resourceType"] != "OperationDefinition")
