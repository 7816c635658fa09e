"""Conditions that decide what is written are never widened (R4 http.html#ccreate)."""

from __future__ import annotations

import pytest

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import symbol
from fhir_server.search.conditional import conditional_criteria
from fhir_server.storage.query import TextIn


@pytest.mark.parametrize(
    "criteria",
    [
        "",
        "?",
        "identifier=",
        "identifier=,",
        "identifier=1,",
        "identifier=1&colour=red",
        "colour=red",
        "identifier=1&_count=1",
        "_sort=birthdate",
        "identifier=1&_summary=true",
        "_format=json",
        "identifier:unknown=true",
        "organization.colour=x",
        "identifier=|",
        "birthdate=soon",
        "identifier=1&birthdate=",
    ],
)
def test_a_condition_with_anything_unusable_is_a_400(criteria: str) -> None:
    with pytest.raises(InvalidSearch) as refusal:
        conditional_criteria("Patient", criteria, base_url="http://localhost/fhir", time_zone="UTC")
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("criteria", "code"),
    [("identifier=", "invalid"), ("identifier=1&birthdate=,", "invalid"), ("colour=red", "not-supported")],
)
def test_an_empty_criterion_is_invalid_and_an_unknown_one_not_supported(criteria: str, code: str) -> None:
    """R4 valueset-issue-type.html: not-supported speaks of the server, invalid of what was sent."""
    with pytest.raises(InvalidSearch) as refusal:
        conditional_criteria("Patient", criteria, base_url="http://localhost/fhir", time_zone="UTC")
    assert refusal.value.issues[0].code == code


@pytest.mark.parametrize(
    "criteria",
    [
        "identifier=https%3A%2F%2Ffhir.nhs.uk%2FId%2Fnhs-number%7C9000000009",
        "?identifier=https://fhir.nhs.uk/Id/nhs-number|9000000009",
        [("identifier", "https://fhir.nhs.uk/Id/nhs-number|9000000009")],
    ],
)
def test_a_condition_asks_for_two_matches_at_most(criteria: str | list[tuple[str, str]]) -> None:
    query = conditional_criteria("Patient", criteria, base_url="http://localhost/fhir", time_zone="UTC").settled
    assert query is not None
    assert query.count == 2
    (predicate,) = query.predicates
    assert isinstance(predicate, TextIn)
    assert (predicate.values, predicate.w) == (("9000000009",), symbol("https://fhir.nhs.uk/Id/nhs-number"))
