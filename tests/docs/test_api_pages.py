"""Every operation and interaction that the server declares has a page below docs/api."""

import re

import pytest

from fhir_server.operations.served import OPERATIONS

INTERACTIONS = (
    # R4 valueset-type-restful-interaction.html and valueset-system-restful-interaction.html
    "read", "vread", "create", "update", "patch", "delete", "history", "search", "batch", "transaction", "capabilities",
)  # fmt: skip


@pytest.mark.parametrize("code", sorted({operation.definition.code for operation in OPERATIONS}))
def test_every_operation_is_listed_with_a_link(repository, code):
    index = (repository / "docs" / "api" / "operations" / "README.md").read_text()
    row = next((line for line in index.splitlines() if re.search(rf"\${code}`.*\]\([\w-]+\.md\)", line)), None)
    assert row, f"docs/api/operations/README.md has no row for ${code}"


@pytest.mark.parametrize("name", INTERACTIONS)
def test_every_interaction_has_a_page(repository, name):
    page = repository / "docs" / "api" / "interactions" / f"{name}.md"
    assert page.exists()
    assert len(page.read_text().split()) > 40
