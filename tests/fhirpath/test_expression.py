"""The public face of the engine: docs/fhirpath.md."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server import fhirpath
from fhir_server.fhirpath.functions import FUNCTIONS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "fhirpath.md").read_text()
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"use": "official", "family": "Byron", "given": ["Ada", "Augusta"]}, {"given": ["Ada"]}],
    "birthDate": "1990-05-17",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Clinic"}],
}


def test_the_examples_of_the_document_hold() -> None:
    lines = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert lines is not None
    names: dict[str, Any] = {}
    checked = 0
    for line in lines[1].splitlines():
        code, mark, expected = line.partition("  # ")
        if mark:
            assert eval(code, names) == eval(expected)
            checked += 1
        else:
            exec(line, names)
    assert checked == 3


def test_every_function_is_documented() -> None:
    listed = set(re.findall(r"[A-Za-z]+", DOCUMENT.partition("## Functions")[2]))
    conversions = {name for name in FUNCTIONS if name.removeprefix("convertsTo").removeprefix("to") in listed}
    assert FUNCTIONS.keys() - listed - conversions == set()


def test_evaluate_gives_the_objects_of_the_resource() -> None:
    (found,) = fhirpath.compile("name.first()").evaluate(PATIENT)
    assert found is PATIENT["name"][0]


def test_typed_tells_fhir_from_system() -> None:
    assert fhirpath.compile("name.family | 1 | 2.50 | birthDate").typed(PATIENT) == [
        ("FHIR.string", "Byron"),
        ("System.Integer", 1),
        ("System.Decimal", Decimal("2.50")),
        ("FHIR.date", "1990-05-17"),
    ]


def test_locate_tells_where_elements_stand() -> None:
    found = fhirpath.locate("Patient.name.where(use = 'official').given.where($this = 'Augusta')", PATIENT)
    assert [(each.key, each.index, each.value, each.type_name, each.path) for each in found] == [
        ("given", 1, "Augusta", "string", "Patient.name[0].given[1]")
    ]
    assert found[0].container is PATIENT["name"][0]
    (single,) = fhirpath.locate("Patient.birthDate", PATIENT)
    assert (single.key, single.index) == ("birthDate", -1)
    assert single.container is PATIENT
    (resource,) = fhirpath.locate("Patient", PATIENT)
    assert resource.container is None
    (inner,) = fhirpath.locate("Patient.contained.name", PATIENT)
    assert inner.path == "Patient.contained[0].name"
    assert fhirpath.locate("1 + 1", PATIENT) == []


def test_an_element_is_evaluated_with_its_type() -> None:
    name = PATIENT["name"][0]
    assert fhirpath.compile("given.first() & ' ' & family").evaluate(name, type_name="HumanName") == ["Ada Byron"]
    assert fhirpath.compile("length()").evaluate("abc", type_name="string") == [3]
    contact = {"name": {"family": "B"}}
    text = "name.exists() or telecom.exists() or address.exists() or organization.exists()"
    assert fhirpath.compile(text).holds(contact, type_name="Patient.contact")
    with pytest.raises(fhirpath.EvaluationError, match="no type"):
        fhirpath.compile("x").evaluate({}, type_name="Nothing")


def test_variables_of_the_caller() -> None:
    compiled = fhirpath.compile("%a + %b")
    assert compiled.evaluate(PATIENT, {"a": 1, "b": [2]}) == [3]
    assert compiled.evaluate(PATIENT, {"a": 0.5, "b": []}) == []
    assert fhirpath.compile("%list.count()").evaluate(PATIENT, {"list": ["x", "y"]}) == [2]
    other = {"resourceType": "Observation", "status": "final"}
    assert fhirpath.compile("%resource.status").evaluate(PATIENT, {"resource": other}) == ["final"]
    assert fhirpath.compile("%resource.birthDate").evaluate(PATIENT, {"x": 1}) == ["1990-05-17"]
    assert fhirpath.compile("%o.status").evaluate(PATIENT, {"o": other}) == ["final"]
    with pytest.raises(fhirpath.EvaluationError, match=r"%a is not defined, at column 1"):
        compiled.evaluate(PATIENT)


def test_variables_do_not_leak_into_the_callers_mapping() -> None:
    given = {"a": 1}
    assert fhirpath.compile("defineVariable('b', %a + 1).select(%b)").evaluate(PATIENT, given) == [2]
    assert given == {"a": 1}


@pytest.mark.parametrize(
    ("expression", "column"),
    [
        ("name.given.nothing()", 12),
        ("name.first(1)", 6),
        ("'a' + 1", 5),
        ("name.given.substring(1)", 12),
        ("birthDate is NoType", 11),
        ("1 + @2012-13", 5),
        ("name.given[ 'a' ]", 11),
    ],
)
def test_errors_name_the_column(expression: str, column: int) -> None:
    with pytest.raises((fhirpath.InvalidExpression, fhirpath.EvaluationError), match=rf"column {column}\b"):
        fhirpath.compile(expression).evaluate(PATIENT)


@pytest.mark.parametrize(
    "expression",
    ["name.give", "Encounter.name", "name.given.first().x", "birthDate.skip(1) | children().skip(1)", "name.upper()"],
)
def test_strict_refuses_what_the_type_cannot_have(expression: str) -> None:
    with pytest.raises(fhirpath.InvalidExpression, match="column"):
        fhirpath.compile(expression, strict=True).evaluate(PATIENT)


class Host:
    """A host that knows one resource, one value set and one hierarchy."""

    def resolve(self, reference: str) -> dict[str, Any] | None:
        return {"resourceType": "Practitioner", "id": "7"} if reference == "Practitioner/7" else None

    def member_of(self, value_set: str, codings: list[tuple[str, str]]) -> bool | None:
        return ("urn:s", "a") in codings if value_set == "urn:vs" else None

    def subsumes(self, system: str, ancestor: str, descendant: str) -> bool | None:
        return (ancestor, descendant) == ("a", "b") if system == "urn:s" else None

    def conforms_to(self, resource: dict[str, Any], profile: str) -> bool | None:
        return "name" in resource if profile == "urn:profile" else None


@pytest.mark.parametrize(
    ("expression", "alone", "hosted"),
    [
        ("subject.resolve().id", [], ["7"]),
        ("code.memberOf('urn:vs')", [], [True]),
        ("code.memberOf('urn:other')", [], []),
        ("code.coding[0].subsumes(code.coding[1])", [], [True]),
        ("code.coding[1].subsumes(code.coding[0])", [], [False]),
        ("code.coding[1].subsumedBy(code.coding[0])", [], [True]),
    ],
)
def test_what_only_a_host_knows(expression: str, alone: list[Any], hosted: list[Any]) -> None:
    resource = {
        "resourceType": "Observation",
        "code": {"coding": [{"system": "urn:s", "code": "a"}, {"system": "urn:s", "code": "b"}]},
        "subject": {"reference": "Practitioner/7"},
    }
    compiled = fhirpath.compile(expression)
    assert compiled.evaluate(resource) == alone
    assert compiled.evaluate(resource, services=Host()) == hosted


def test_profiles_are_the_hosts() -> None:
    compiled = fhirpath.compile("conformsTo('urn:profile')")
    assert compiled.evaluate(PATIENT, services=Host()) == [True]
    with pytest.raises(fhirpath.EvaluationError, match="not known"):
        compiled.evaluate(PATIENT)


def test_the_same_text_is_compiled_once() -> None:
    assert fhirpath.compile("Patient.name") is fhirpath.compile("Patient.name")
