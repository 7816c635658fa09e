"""Literal references: their forms, and what is rewritten where (R4 references.html#literal, http.html#trules)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server import spec
from fhir_server.model.reference import localise, parse_reference, references, rewrite

BASE = "https://example.org/fhir"
URN = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Patient/p", ("Patient", "p", None)),
        ("Patient/p/_history/3", ("Patient", "p", "3")),
        ("Patient/A-9.z", ("Patient", "A-9.z", None)),
        (f"Patient/{'a' * 64}", ("Patient", "a" * 64, None)),
        ("Binary/b#page=2", ("Binary", "b", None)),
        (f"{BASE}/Patient/p", ("Patient", "p", None)),
        (f"{BASE}/Patient/p/_history/3", ("Patient", "p", "3")),
    ],
)
def test_a_relative_reference_and_one_below_the_base_are_local(text: str, parts: tuple[str, str, str | None]) -> None:
    found = parse_reference(text, BASE)
    assert found.is_local
    assert not found.is_fragment
    assert (found.resource_type, found.logical_id, found.version_id) == parts
    assert found.text == text


@pytest.mark.parametrize(
    "text",
    [
        "#p",
        "#",
        "",
        URN,
        "urn:oid:1.2.3",
        "Patient",
        "Patient/",
        "Patient/p/",
        "Patient/p/x",
        "Patient/p/_history",
        "Patient/p/_history/",
        "Patient/a_b",
        f"Patient/{'a' * 65}",
        "Patient/é",
        "/Patient/p",
        "patient/p",
        "Patiens/p",
        "DomainResource/p",
        "HumanName/p",
        "Patient?identifier=x",
        "https://example.org/Patient/p",
        "https://example.org/fhir2/Patient/p",
        "https://example.org/fhirPatient/p",
        "http://example.org/fhir/Patient/p",
        f"{BASE}/{BASE}/Patient/p",
        f"{BASE}/",
        "Patient/p\n",
    ],
)
def test_all_others_are_kept_as_text(text: str) -> None:
    found = parse_reference(text, BASE)
    assert not found.is_local
    assert (found.text, found.resource_type, found.logical_id, found.version_id) == (text, "", "", None)
    assert found.is_fragment is text.startswith("#")


def test_without_a_base_absolute_references_are_text() -> None:
    assert not parse_reference(f"{BASE}/Patient/p").is_local
    assert parse_reference("Patient/p").is_local


@given(
    st.sampled_from(sorted(spec.RESOURCE_TYPES)),
    st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True),
    st.none() | st.from_regex(r"[1-9][0-9]{0,5}", fullmatch=True),
    st.sampled_from(["", BASE]),
)
def test_every_type_id_and_version_is_read_back(
    resource_type: str, logical_id: str, version: str | None, base: str
) -> None:
    text = f"{resource_type}/{logical_id}" + (f"/_history/{version}" if version else "")
    found = parse_reference(f"{base}/{text}" if base else text, BASE)
    assert (found.resource_type, found.logical_id, found.version_id) == (resource_type, logical_id, version)


def observation() -> Json:
    return {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Device", "id": "d", "patient": {"reference": f"{BASE}/Patient/c"}}],
        "text": {"status": "generated", "div": f'<div><a href="{BASE}/Patient/p">x</a> Patient/p</div>'},
        "code": {"text": f"{BASE}/Patient/p"},
        "subject": {"reference": f"{BASE}/Patient/p", "display": f"{BASE}/Patient/p"},
        "performer": [
            {"reference": "Practitioner/x"},
            {"reference": f"{BASE}/$export"},
            {"reference": "https://other.example/fhir/Patient/p"},
            {"identifier": {"value": f"{BASE}/Patient/p", "assigner": {"reference": f"{BASE}/Organization/o#x"}}},
        ],
        "device": {"reference": "#d"},
        "extension": [{"url": f"{BASE}/Patient/p", "valueReference": {"reference": f"{BASE}/Patient/e/_history/2"}}],
    }


def test_all_literal_references_are_found_wherever_they_stand() -> None:
    assert sorted(holder[key] for holder, key in references(observation())) == [
        "#d",
        "Practitioner/x",
        f"{BASE}/$export",
        f"{BASE}/Organization/o#x",
        f"{BASE}/Patient/c",
        f"{BASE}/Patient/e/_history/2",
        f"{BASE}/Patient/p",
        "https://other.example/fhir/Patient/p",
    ]


def test_an_object_called_reference_is_looked_into() -> None:
    """ImplementationGuide.definition.resource.reference is a Reference itself."""
    resource = {"definition": {"resource": [{"reference": {"reference": "Patient/p"}}]}}
    assert [holder[key] for holder, key in references(resource)] == ["Patient/p"]


def test_references_below_the_base_are_made_relative_and_nothing_else_is() -> None:
    resource = observation()
    localise(resource, BASE)
    expected = observation()
    expected["contained"][0]["patient"]["reference"] = "Patient/c"
    expected["subject"]["reference"] = "Patient/p"
    expected["performer"][3]["identifier"]["assigner"]["reference"] = "Organization/o#x"
    expected["extension"][0]["valueReference"]["reference"] = "Patient/e/_history/2"
    assert resource == expected


def test_what_stands_for_an_entry_is_replaced_in_references() -> None:
    resource: Json = {
        "resourceType": "Observation",
        "subject": {"reference": URN, "display": "x"},
        "hasMember": [{"reference": f"{URN}#part"}, {"reference": "Observation/old"}, {"reference": "#p"}],
        "encounter": {"reference": f"{BASE}/Encounter/e"},
        "focus": [{"reference": "Encounter/e"}, {"reference": "urn:uuid:other"}],
    }
    mapping = {URN: "Patient/1", f"{BASE}/Encounter/e": "Encounter/2", f"{BASE}/Observation/old": "Observation/3"}
    assert rewrite(resource, mapping, BASE) is False
    assert resource == {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1", "display": "x"},
        "hasMember": [{"reference": "Patient/1#part"}, {"reference": "Observation/3"}, {"reference": "#p"}],
        "encounter": {"reference": "Encounter/2"},
        "focus": [{"reference": "Encounter/2"}, {"reference": "urn:uuid:other"}],
    }


def test_links_of_the_narrative_are_replaced_but_not_its_text() -> None:
    """R4 http.html#trules: <a href> and <img src> in the narrative."""
    text = "<div><a class='c' href='{0}'>{1}</a><img src = \"{0}\"/><a href='#{1}' title='{1}'>x</a></div>"
    before, after = text.format(URN, URN), text.format("Patient/1", URN)
    resource: Json = {"text": {"div": before}, "section": [{"text": {"div": before}}]}
    assert rewrite(resource, {URN: "Patient/1"}) is False
    assert resource == {"text": {"div": after}, "section": [{"text": {"div": after}}]}


@pytest.mark.parametrize(
    "resource",
    [
        {"valueUri": URN},
        {"relatedArtifact": [{"resource": URN}]},
        {"instantiatesUri": ["x", URN]},
        {"identifier": [{"system": "urn:ietf:rfc:3986", "value": URN}]},
    ],
)
def test_other_strings_that_stand_for_an_entry_are_told_but_left(resource: Json) -> None:
    before = copy.deepcopy(resource)
    assert rewrite(resource, {URN: "Patient/1"}) is True
    assert resource == before
    assert rewrite(resource, {"urn:uuid:other": "Patient/1"}) is False
