"""`_filter` as conditions (R4 search_filter.html)."""

from __future__ import annotations

import pytest

from fhir_server.errors import InvalidSearch
from fhir_server.search.filter import parse_filter
from fhir_server.search.request import AllOf, AnyOf, Chained, Condition, Criterion, NoneOf


def one(code: str, value: str, modifier: str = "") -> Criterion:
    return Criterion(code, (value,), modifier)


PETER = one("given", "peter", "is")
MALE, FEMALE = one("gender", "male"), one("gender", "female")
ACTIVE = one("active", "true")


@pytest.mark.parametrize(
    ("resource_type", "text", "expected"),
    [
        ("Patient", 'name co "pet"', one("name", "pet", "contains")),
        ("Patient", 'given eq "peter" and birthdate ge 2014-10-10', AllOf((PETER, one("birthdate", "ge2014-10-10")))),
        ("Observation", "code eq http://loinc.org|1234-5", one("code", "http://loinc.org|1234-5")),
        ("Observation", 'subject.name co "pet"', Chained("subject", "", one("name", "pet", "contains"))),
        ("Observation", 'subject:Patient.name sw "pet"', Chained("subject", "Patient", one("name", "pet"))),
        (
            "Observation",
            "has-member[status eq final].code pr true",
            AnyOf(
                tuple(
                    Chained("has-member", target, AllOf((one("status", "final"), one("code", "false", "missing"))))
                    for target in ("Observation",)
                )
            ).parts[0],
        ),
        ("Observation", "performer re Practitioner/4", one("performer", "Practitioner/4")),
        ("Observation", "date po 2012", AllOf((one("date", "ge2012"), one("date", "le2012")))),
        (
            "Observation",
            "value-quantity gt 5.4|http://unitsofmeasure.org|mg",
            one("value-quantity", "gt5.4|http://unitsofmeasure.org|mg"),
        ),
        ("Observation", "code in http://x/vs", one("code", "http://x/vs", "in")),
        ("Observation", "code ni http://x/vs", NoneOf(one("code", "http://x/vs", "in"))),
        ("Observation", "code ss http://x|a", one("code", "http://x|a", "below")),
        ("Observation", "code sb http://x|a", one("code", "http://x|a", "above")),
        ("Patient", "gender ne male", AllOf((one("gender", "false", "missing"), NoneOf(MALE)))),
        ("Patient", "organization pr false", one("organization", "true", "missing")),
        ("Patient", "not (gender eq male)", NoneOf(MALE)),
        # From left to right, without precedence.
        ("Patient", "gender eq male or gender eq female and active eq true", AllOf((AnyOf((MALE, FEMALE)), ACTIVE))),
        ("Patient", "gender eq male or (gender eq female and active eq true)", AnyOf((MALE, AllOf((FEMALE, ACTIVE))))),
        ("Patient", 'family eq "O\\"Neil, a|b"', one("family", 'O"Neil\\, a\\|b', "is")),
        ("Patient", "  ( ( gender eq male ) )  ", MALE),
        ("Patient", "_id eq 5", one("_id", "5")),
        ("Patient", "_lastUpdated ge 2020", one("_lastUpdated", "ge2020")),
    ],
)
def test_reads(resource_type: str, text: str, expected: Condition) -> None:
    assert parse_filter(resource_type, text) == expected


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("name", "invalid", "column 5"),
        ("name eq", "invalid", "column"),
        ('name eq "a', "invalid", "not closed"),
        ("(name eq a", "invalid", "column 11"),
        ("name eq a)", "invalid", "column 10"),
        ("name eq a b", "invalid", "column 11"),
        ("not gender eq male", "not-supported", "column"),
        ("and gender eq male", "not-supported", "column"),
        ("gender eq male and", "invalid", "column"),
        ("colour eq red", "not-supported", "'colour'"),
        ("gender ew a", "not-supported", "'ew'"),
        ("gender co m", "not-supported", "'co'"),
        ("gender xx m", "not-supported", "'xx'"),
        ("name pr maybe", "invalid", "true or false"),
        ("gender[name eq a].x eq b", "not-supported", "no reference"),
        ("organization[name eq a] eq b", "invalid", "column"),
        ("organization.colour eq b", "not-supported", "colour"),
        ('name eq "\\q"', "invalid", "escape"),
        ("(" * 30 + "gender eq male" + ")" * 30, "too-costly", "brackets"),
        ("gender eq male or " * 1000 + "gender eq male", "too-costly", "characters"),
    ],
)
def test_refuses_what_it_cannot_read(text: str, code: str, says: str) -> None:
    with pytest.raises(InvalidSearch) as refusal:
        parse_filter("Patient", text)
    assert (refusal.value.status, refusal.value.issues[0].code) == (400, code)
    assert says in str(refusal.value)
