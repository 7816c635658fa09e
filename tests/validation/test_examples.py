"""The specification's own examples are valid, but for those of faulty_examples.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server import spec
from fhir_server.validation import issues
from fhir_server.validation.fast import Doubt, check
from fhir_server.validation.walker import all_issues
from tests.r4_examples import example, example_texts, faulty_examples

NEVER_PUBLISHED = {
    "Parameters",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
}
"""Types of which the package has no example."""


def test_there_is_an_example_of_every_type_that_has_one() -> None:
    assert len(example_texts()) == 744
    assert {example(file)["resourceType"] for file in example_texts()} == spec.RESOURCE_TYPES - NEVER_PUBLISHED


def test_all_examples_are_valid_but_those_known_to_be_faulty() -> None:
    found = {file: tuple(str(issue.expression) for issue in issues(example(file))) for file in example_texts()}
    assert {file: expressions for file, expressions in found.items() if expressions} == faulty_examples()


def test_the_fast_check_passes_no_faulty_example_and_doubts_only_underscored_ones() -> None:
    """Extensions of repeated primitives, and primitives that are extensions alone, are left to the full check."""
    doubted = {file for file in example_texts() if not passes(example(file))}
    assert doubted >= faulty_examples().keys()
    assert [file for file in doubted - faulty_examples().keys() if not any(_underscored(example(file)))] == []
    assert len(doubted) < 25


def test_the_full_check_agrees_on_what_the_fast_one_passes() -> None:
    assert [file for file in example_texts() if passes(example(file)) and all_issues(example(file))] == []


def passes(resource: dict[str, Any]) -> bool:
    try:
        check(resource)
    except (Doubt, KeyError):
        return False
    return True


def _underscored(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        yield from (key for key in content if key.startswith("_"))
        for value in content.values():
            yield from _underscored(value)
    elif isinstance(content, list):
        for item in content:
            yield from _underscored(item)
