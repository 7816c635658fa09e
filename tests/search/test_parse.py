"""What a query string asks for, what is ignored and what is refused (R4 search.html#errors, #modifiers, #sort)."""

from __future__ import annotations

import re

import pytest

from fhir_server.errors import InvalidSearch
from fhir_server.search.compile import compile_query
from fhir_server.search.parse import parse_search
from fhir_server.search.request import Criterion, Ignored, SortRule
from fhir_server.storage.query import Query, SortKey


def compiled(resource_type: str, *pairs: tuple[str, str]) -> Query:
    return compile_query(
        parse_search(resource_type, pairs, strict=False),
        base_url="http://localhost/fhir",
        time_zone="UTC",
        max_count=50,
    )


def test_criteria_keep_their_order_and_alternatives() -> None:
    request = parse_search("Observation", [("code", "a,b\\,c"), ("status", "final"), ("code", "d")], strict=True)
    assert request.criteria == (
        Criterion("code", ("a", "b\\,c")),
        Criterion("status", ("final",)),
        Criterion("code", ("d",)),
    )
    assert request.used == (("code", "a,b\\,c"), ("status", "final"), ("code", "d"))


def test_an_unknown_parameter_is_ignored_by_name_and_left_out_of_the_self_link() -> None:
    request = parse_search("Observation", [("colour", "red"), ("status", "final")], strict=False)
    assert [ignored.name for ignored in request.ignored] == ["colour"]
    assert request.used == (("status", "final"),)


def test_an_unknown_parameter_is_refused_when_strict() -> None:
    with pytest.raises(InvalidSearch, match="'colour' is not a search parameter of Observation"):
        parse_search("Observation", [("colour", "red")], strict=True)


@pytest.mark.parametrize("value", ["", ",", ",,"])
def test_an_empty_parameter_is_ignored(value: str) -> None:
    request = parse_search("Observation", [("code", value)], strict=False)
    assert request.criteria == ()
    assert request.ignored == (Ignored("code", "'code' has no value."),)


@pytest.mark.parametrize(
    "name",
    [
        "code:unknown",
        "_id:exact",
        "_sort:desc",
        "subject:Medication",
        "code:of-type",
        "status:identifier",
        "code.display",
        "subject.colour",
        "subject:Observation.code",
        "_has:Observation:patient",
        "_has:Observation:code:value",
        "_has:Patient:organization:name",
        "_query",
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_what_would_change_the_matches_is_refused_and_never_ignored(name: str, strict: bool) -> None:
    with pytest.raises(InvalidSearch) as refusal:
        parse_search("Observation", [(name, "x")], strict=strict)
    assert refusal.value.status == 400
    assert refusal.value.issues[0].code == "not-supported"
    assert any(part in str(refusal.value) for part in re.split("[:.]", name) if part not in ("_has", "Patient"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_count", "-1"),
        ("_count", "ten"),
        ("_count", "9" * 30),
        ("_total", "all"),
        ("_summary", "yes"),
        ("date", "23 May 2009"),
        ("date", "2013-13"),
        ("date", "xx2013"),
        ("_lastUpdated", "yesterday"),
        ("value-quantity", "many"),
        ("value-quantity", "5|mg"),
        ("value-quantity", "5|http://unitsofmeasure.org|"),
        ("code", "a|b|c"),
        ("code", "|"),
        ("code", "a\\b"),
        ("subject", "Patient/1/2 3"),
        ("value-string", "..."),
        ("code-value-quantity", "8480-6"),
        ("code-value-quantity", "8480-6$"),
        ("code-value-quantity", "http://loinc.org|$5"),
        ("code-value-quantity", "a$1$2"),
    ],
)
def test_a_value_that_cannot_be_read_is_a_400_that_names_the_parameter(name: str, value: str) -> None:
    with pytest.raises(InvalidSearch) as refusal:
        compiled("Observation", (name, value))
    assert refusal.value.status == 400
    assert name in str(refusal.value) or "backslash" in str(refusal.value) or "component" in str(refusal.value)


@pytest.mark.parametrize(("resource_type", "name", "value"), [
    ("Patient", "active", "maybe"),
    ("Patient", "phone", "phone|123"),
    ("Location", "near", "here"),
    ("Location", "near", "91|0"),
    ("Location", "near", "NaN|0"),
    ("Location", "near", "sNaN|0"),
    ("Location", "near", "0|0|Infinity"),
    ("Location", "near", "0|0|1e999999"),
    ("Location", "near", "1|1|1|kg"),
    ("RiskAssessment", "probability", "half"),
])  # fmt: skip
def test_a_value_of_another_kind_is_a_400(resource_type: str, name: str, value: str) -> None:
    with pytest.raises(InvalidSearch):
        compiled(resource_type, (name, value))


def test_count_is_kept_bounded_and_zero_asks_for_the_total() -> None:
    assert compiled("Patient").count == 20
    assert compiled("Patient", ("_count", "7")).count == 7
    assert compiled("Patient", ("_count", "5000")).count == 50
    nothing = compiled("Patient", ("_count", "0"))
    assert (nothing.count, nothing.total) == (0, True)
    assert compiled("Patient", ("_summary", "count")) == nothing
    assert compiled("Patient", ("_total", "accurate")).total
    assert not compiled("Patient", ("_total", "none")).total


@pytest.mark.parametrize(("resource_type", "pairs"), [
    ("Patient", [("identifier", ",".join(map(str, range(1001))))]),
    ("Patient", [("identifier", ",".join(map(str, range(501)))), ("_id", ",".join(map(str, range(500))))]),
    ("Patient", [("identifier", str(n)) for n in range(51)]),
    ("Patient", [("name", ",".join(f"n{n}" for n in range(201)))]),
    ("Patient", [("birthdate", ",".join(f"ne{n}" for n in range(1900, 2001)))]),
    ("Observation", [("value-quantity", ",".join(f"{n}||mg" for n in range(201)))]),
    ("Observation", [("code-value-quantity", ",".join(f"c{n}$5" for n in range(201)))]),
    ("Observation", [("focus", ",".join(f"f{n}" for n in range(1000)))]),
    ("Location", [("near", ",".join(f"1|{n / 2}" for n in range(201)))]),
    ("Patient", [("_sort", "_id,_lastUpdated,birthdate,name,family,given,email,phone,address")]),
])  # fmt: skip
def test_a_search_over_a_limit_is_refused_before_it_is_tried(resource_type: str, pairs: list[tuple[str, str]]) -> None:
    """docs/spec-clarifications/search.md, search-14."""
    with pytest.raises(InvalidSearch) as refusal:
        compiled(resource_type, *pairs)
    assert (refusal.value.status, refusal.value.issues[0].code) == (400, "too-costly")


def test_a_key_that_sorts_already_is_dropped() -> None:
    request = parse_search("Patient", [("_sort", ",".join(["name", "-_id", "-name", "_id"] * 500))], strict=True)
    assert request.sort == (SortRule("name", False), SortRule("_id", True))
    assert request.used == (("_sort", "name,-_id"),)


def test_sort_rules_keep_their_priority() -> None:
    request = parse_search("Observation", [("_sort", "-date,_lastUpdated"), ("_sort", "_id")], strict=True)
    assert request.sort == (SortRule("date", True), SortRule("_lastUpdated", False), SortRule("_id", False))
    query = compile_query(request, base_url="", time_zone="UTC")
    assert query.sort == (SortKey("primary_date", True), SortKey("last_updated"), SortKey("id"))


def test_a_sort_that_has_no_order_is_ignored_by_name() -> None:
    request = parse_search("Observation", [("_sort", "code-value-quantity,-date,colour")], strict=False)
    assert request.sort == (SortRule("date", True),)
    assert request.used == (("_sort", "-date"),)
    assert [ignored.name for ignored in request.ignored] == ["_sort", "_sort"]
    assert "'code-value-quantity'" in request.ignored[0].reason


def test_parameters_of_the_exchange_are_neither_used_nor_ignored() -> None:
    request = parse_search("Patient", [("_format", "json"), ("_pretty", "true"), ("_cursor", "x")], strict=True)
    assert (request.used, request.ignored) == ((), ())


def test_last_updated_is_a_range_of_microseconds() -> None:
    (predicate,) = compiled("Patient", ("_lastUpdated", "2020-01-01T00:00:00Z")).predicates
    assert (predicate.low, predicate.high) == (1577836800_000000, 1577836800_999999)
    (after,) = compiled("Patient", ("_lastUpdated", "gt2020-01-01T00:00:00Z")).predicates
    assert (after.low, after.high) == (1577836801_000000, None)
    (until,) = compiled("Patient", ("_lastUpdated", "le2020-01-01T00:00:00Z")).predicates
    assert (until.low, until.high) == (None, 1577836800_999999)
