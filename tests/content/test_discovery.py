"""What is shipped is found by search on a server: Questionnaires (R4 questionnaire.html#search) and operations."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.instruments.responses import BASE, QUESTIONNAIRES

SHIPPED = [json.loads(path.read_text()) for path in sorted(QUESTIONNAIRES.glob("*/questionnaire.json"))]


def found(base_url: str, **criteria: str) -> set[str]:
    answer = httpx.get(f"{base_url}/Questionnaire", params={"_elements": "url", "_count": "100", **criteria})
    return {entry["resource"]["url"] for entry in answer.raise_for_status().json().get("entry", [])}


def test_every_questionnaire_by_url_version_name_and_title(base_url: str) -> None:
    assert len(SHIPPED) >= len(list(QUESTIONNAIRES.glob("*/scoring.json"))) == 60
    for one in SHIPPED:
        assert found(base_url, url=one["url"]) == {one["url"]}
        assert found(base_url, url=one["url"], version=one["version"]) == {one["url"]}
        assert found(base_url, name=one["name"]) >= {one["url"]}
        assert found(base_url, **{"title:contains": one["title"][2:-2].upper()}) >= {one["url"]}


def test_all_at_once(base_url: str) -> None:
    # The invented pathway's own questionnaires are there too.
    assert found(base_url, status="active") >= {one["url"] for one in SHIPPED}
    assert f"{BASE}/Questionnaire/oks" in found(base_url, **{"title:contains": "knee"})


@pytest.mark.parametrize(
    ("resource_type", "code"),
    [
        ("QuestionnaireResponse", "score"),
        ("QuestionnaireResponse", "score-batch"),
        ("Patient", "score-history"),
    ],
)
def test_operations_are_declared_and_their_definitions_are_served(base_url: str, resource_type: str, code: str) -> None:
    rest = httpx.get(f"{base_url}/metadata").json()["rest"][0]
    declared = next(one for one in rest["resource"] if one["type"] == resource_type)["operation"]
    canonical = next(one["definition"] for one in declared if one["name"] == code)
    answer = httpx.get(f"{base_url}/OperationDefinition", params={"url": canonical}).json()
    (definition,) = [entry["resource"] for entry in answer["entry"]]
    assert (definition["code"], definition["url"]) == (code, canonical)
