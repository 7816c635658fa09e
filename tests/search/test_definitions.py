"""Aliases: parameters that are answered by the rows of others, and what is declared."""

from __future__ import annotations

import pytest

from fhir_server import spec
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.fhirpath.parser import parse
from fhir_server.search.codegen import compile_walk
from fhir_server.search.declared import declared
from fhir_server.search.definitions import definitions
from fhir_server.search.paths import Step, paths
from fhir_server.search.primary import primary_date
from fhir_server.search.registry import R4


def sources(resource_type: str, code: str) -> set[tuple[str, str]]:
    """{(code of the parameter whose rows are read, restriction)}."""
    known = definitions(resource_type)
    by_p = {definition.p: definition.code for definition in known.values()}
    return {(by_p[source.p], source.only) for source in known[code].sources}


@pytest.mark.parametrize(
    ("resource_type", "code", "expected"),
    [
        ("Observation", "patient", {("subject", "Patient")}),
        ("Observation", "combo-code", {("code", ""), ("component-code", "")}),
        ("Observation", "combo-value-quantity", {("value-quantity", ""), ("component-value-quantity", "")}),
        (
            "Observation",
            "combo-code-value-quantity",
            {("code-value-quantity", ""), ("component-code-value-quantity", "")},
        ),
        ("Observation", "code", {("code", "")}),
        ("Patient", "phone", {("telecom", "phone")}),
        ("Patient", "email", {("telecom", "email")}),
        ("Appointment", "practitioner", {("actor", "Practitioner")}),
        ("Immunization", "patient", {("patient", "")}),
    ],
)
def test_unions_and_restrictions_read_the_rows_of_others(
    resource_type: str, code: str, expected: set[tuple[str, str]]
) -> None:
    assert sources(resource_type, code) == expected


def test_an_alias_has_no_rows_and_reads_only_owners() -> None:
    for resource_type in spec.RESOURCE_TYPES:
        known = definitions(resource_type)
        owners = {definition.p for definition in known.values() if not definition.is_alias}
        for definition in known.values():
            assert {source.p for source in definition.sources} <= owners


def test_every_parameter_with_an_expression_is_searchable() -> None:
    for resource_type in spec.RESOURCE_TYPES:
        expressed = {code for code, p in spec.search_parameters(resource_type).items() if p.expression}
        text = {"_text"} & spec.search_parameters(resource_type).keys()
        of_all = {"_id", "_lastUpdated", "_list", "_filter", "_content"}
        assert {parameter.name for parameter in declared(resource_type)} == expressed | of_all | text


def test_every_type_compiles_to_one_function() -> None:
    for resource_type in sorted(spec.RESOURCE_TYPES):
        assert callable(compile_walk(R4, resource_type))


def test_primary_dates_are_date_parameters() -> None:
    with_date = [t for t in spec.RESOURCE_TYPES if primary_date(t) is not None]
    assert len(with_date) > 80
    for resource_type in with_date:
        dates = {d.p for d in definitions(resource_type).values() if d.search_type == "date" and not d.is_alias}
        assert primary_date(resource_type) in dates


def test_an_extension_is_followed_to_its_value() -> None:
    (path,) = paths(parse("Patient.extension('http://x.org/e')"), "Patient")
    assert path.steps == (Step("each", "extension"), Step("equal", "url", "http://x.org/e"))
    assert path.type_name == "Extension"


def test_as_takes_specialised_types_too() -> None:
    found = paths(parse("(ConceptMap.source as uri)"), "ConceptMap")
    assert {path.type_name for path in found} == {"uri", "canonical"}


def test_fhirpath_beyond_search_is_refused() -> None:
    with pytest.raises(InvalidExpression, match="column"):
        paths(parse("Patient.name.select(given & family)"), "Patient")
