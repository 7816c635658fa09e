"""Every operation is defined, served and documented; every definition is of an operation served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhir_server import content_files, spec
from fhir_server.operations.definition import load
from fhir_server.operations.served import OPERATIONS
from fhir_server.validation import issues

FILES = sorted((content_files.root() / "profiles").glob("OperationDefinition-*.json"))


def test_definitions_and_operations_are_the_same() -> None:
    assert sorted(load(path.name).url for path in FILES) == sorted(served.definition.url for served in OPERATIONS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_is_valid_and_says_what_it_must(path: Path) -> None:
    definition = json.loads(path.read_text())
    assert issues(definition) == []
    assert path.name == f"OperationDefinition-{definition['id']}.json"
    assert definition["url"].endswith(f"/OperationDefinition/{definition['id']}")
    assert all(name == "Resource" or name in spec.RESOURCE_TYPES for name in definition.get("resource", ()))
    parameters = definition["parameter"]
    assert all("documentation" in parameter for parameter in parameters)
    assert any(parameter["use"] == "out" for parameter in parameters)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_is_documented(path: Path, repository: Path) -> None:
    definition = json.loads(path.read_text())
    pages = repository / "docs" / "api" / "operations"
    assert f"${definition['code']}" in (pages / "README.md").read_text()
    described = "".join(page.read_text() for page in pages.glob("*.md") if page.name != "README.md")
    assert f"${definition['code']}`" in described
    assert all(
        f"`{p['name']}`" in described for p in definition["parameter"] if p["use"] == "in" and p["name"] != "_cursor"
    )
