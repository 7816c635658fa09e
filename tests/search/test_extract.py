"""Rows of whole resources, worked out by hand from storage/rows.py."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from typing import Any

from fhir_server import spec
from fhir_server.model.identity import rid, symbol, token
from fhir_server.search.extract import extract
from fhir_server.search.features import trigrams, word, words
from fhir_server.search.parameters.number import ordered
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.rows import (
    DISPLAY,
    NO_DATE,
    VARIANT_CANONICAL,
    VARIANT_IDENTIFIER,
    VARIANT_TEXT,
    parameter,
)
from fhir_server.validation import validate

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def p(resource_type: str, code: str, variant: int = 0) -> int:
    return parameter(spec.parameter_number(resource_type, code), variant)


def test_the_rows_of_an_observation() -> None:
    rows = extract(
        {
            "resourceType": "Observation",
            "id": "1",
            "text": {
                "status": "generated",
                "div": '<div xmlns="http://www.w3.org/1999/xhtml">Weight &amp; <b>height</b> weight</div>',
            },
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "29463-7", "display": "Body weight"}], "text": "Weight"},
            "subject": {"reference": "Patient/7", "identifier": {"system": "urn:x", "value": "N1"}},
            "effectiveDateTime": "1970-01-02T00:00:00Z",
            "valueQuantity": {"value": Decimal("70.50"), "unit": "kilos", "system": UCUM, "code": "kg"},
        }
    )
    code = token(LOINC, "29463-7")
    assert set(rows.numbers) == {
        (p("Observation", "status"), token("http://hl7.org/fhir/observation-status", "final"), 0),
        (p("Observation", "code"), code, 0),
        (p("Observation", "code", VARIANT_TEXT), token(DISPLAY, "body weight"), 0),
        (p("Observation", "code", VARIANT_TEXT), token(DISPLAY, "weight"), 0),
        (p("Observation", "subject"), rid("Patient", "7"), TYPE_NUMBERS["Patient"]),
        (p("Observation", "date"), 86_400_000, 86_400_999),
        (p("Observation", "value-quantity"), ordered(Decimal("70.5")), symbol("|kilos")),
        (p("Observation", "value-quantity"), ordered(Decimal("70.5")), symbol("|kg")),
        (p("Observation", "value-quantity", VARIANT_CANONICAL), ordered(70500), symbol("g")),
    }
    assert rows.texts == [(p("Observation", "subject", VARIANT_IDENTIFIER), "N1", symbol("urn:x"))]
    assert set(rows.composites) == {
        (p("Observation", "code-value-quantity"), code, ordered(Decimal("70.5")), symbol("|kilos"), ""),
        (p("Observation", "code-value-quantity"), code, ordered(Decimal("70.5")), symbol("|kg"), ""),
        (p("Observation", "code-value-quantity", VARIANT_CANONICAL), code, ordered(70500), symbol("g"), ""),
    }
    assert set(rows.tokens) == {
        (code, LOINC, "29463-7"),
        (token(DISPLAY, "body weight"), DISPLAY, "body weight"),
        (token(DISPLAY, "weight"), DISPLAY, "weight"),
        (token("http://hl7.org/fhir/observation-status", "final"), "http://hl7.org/fhir/observation-status", "final"),
    }
    text, content = p("Observation", "_text"), p("Observation", "_content")
    expected = {word(text, "weight"), word(text, "height")}
    expected |= {word(content, one) for one in ("weight", "height", "body", "kilos")}
    assert set(rows.features) == expected
    assert rows.compartments == [rid("Patient", "7")]
    assert (rows.k, rows.k_high) == (86_400_000, 86_400_999)


def test_a_resource_without_its_primary_date_has_none() -> None:
    rows = extract({"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "x"}})
    assert (rows.k, rows.k_high) == (NO_DATE, NO_DATE)
    assert rows.compartments == []


def test_no_list_holds_duplicates() -> None:
    coding = {"system": LOINC, "code": "1"}
    rows = extract(
        {
            "resourceType": "Observation",
            "id": "1",
            "status": "final",
            "code": {"coding": [coding, coding]},
            "subject": {"reference": "Patient/7"},
            "performer": [{"reference": "Patient/7"}, {"reference": "Patient/7"}],
            "valueString": "aaaaaaa",
        }
    )
    for found in (rows.numbers, rows.texts, rows.composites, rows.features, rows.tokens, rows.compartments):
        assert len(found) == len(set(found))


def compartments(**resource: Any) -> list[int]:
    return extract({"id": "1", **resource}).compartments


def test_patients_compartments() -> None:
    seven = {"reference": "Patient/7"}
    assert compartments(resourceType="Patient") == [rid("Patient", "1")]
    assert compartments(resourceType="Task", status="requested", intent="order", **{"for": seven}) == [
        rid("Patient", "7")
    ]
    assert compartments(resourceType="Observation", status="final", subject={"reference": "Group/7"}) == []
    assert (
        compartments(resourceType="Observation", status="final", subject={"reference": "https://x.org/fhir/Patient/7"})
        == []
    )
    assert compartments(
        resourceType="Appointment", participant=[{"actor": seven}, {"actor": {"reference": "Location/1"}}]
    ) == [rid("Patient", "7")]
    # Group, Person and Schedule are in no patient's compartment here, though R4's table has them.
    assert compartments(resourceType="Group", member=[{"entity": seven}]) == []
    assert compartments(resourceType="Person", link=[{"target": seven}]) == []
    assert compartments(resourceType="Schedule", actor=[seven]) == []


def test_nulls_beside_primitive_extensions_are_passed_over() -> None:
    rows = extract(
        {"resourceType": "Patient", "id": "1", "name": [{"given": [None, "Ann"], "_given": [{"id": "a"}, None]}]}
    )
    assert [(row_p, v) for row_p, v, _ in rows.texts if row_p == p("Patient", "given")] == [
        (p("Patient", "given"), "ann")
    ]


def test_a_parameters_trigrams_are_its_own() -> None:
    assert set(trigrams(8, "anna")) == set(trigrams(8, "ann")) | set(trigrams(8, "nna"))
    assert not set(trigrams(8, "anna")) & set(trigrams(16, "anna"))
    assert trigrams(8, "an") == ()
    assert set(trigrams(8, "日本")) <= set(trigrams(8, "日本語"))
    assert all(-(2**31) <= feature < 2**31 for feature in trigrams(2**20, "\U0010ffff" * 3))


def test_words_of_a_narrative() -> None:
    assert set(words("<p title='secret'>Fish &lt;and&gt; CHIPS, caf\u00e9_1</p>")) == {"fish", "and", "chips", "cafe"}
    assert set(words("<p>No. 7 of 膝</p>")) == {"膝"}
    assert words("") == []


def test_long_texts_stay_in_no_cache() -> None:
    """What is kept of a resource once it is checked and indexed does not grow with its texts."""

    def read(n: int) -> None:
        long = f"{n}-" + "ab" * 50_000
        patient = {
            "resourceType": "Patient",
            "id": "1",
            "implicitRules": f"urn:{long}",
            "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{long}</div>'},
            "identifier": [{"system": f"urn:{long}", "value": long}],
            "name": [{"family": long, "text": f"é{long}"}],
            "maritalStatus": {"coding": [{"system": f"urn:{long}", "code": long}]},
            "managingOrganization": {"reference": f"urn:{long}"},
        }
        validate(patient)
        extract(patient)

    read(0)
    tracemalloc.start()
    try:
        for n in range(1, 21):
            read(n)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 200_000
