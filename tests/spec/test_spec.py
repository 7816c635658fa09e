"""The compiled facts are R4's, decoded when first asked for, and what the manifest says they are."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fhir_server import spec

FOLDER = Path(spec.__file__).parent
PACKAGE = os.environ.get("FHIR_TEST_R4_PACKAGE")
"""The unpacked package that manifest.json names, where there is one."""


def test_the_types_are_those_of_r4() -> None:
    """R4 valueset-resource-types.html: 148 types, Resource and DomainResource among them; datatypes.html: 20 primitives
    with xhtml."""
    kinds = Counter((spec.structure(name).kind, spec.structure(name).abstract) for name in type_names())
    assert kinds["resource", False] == len(spec.RESOURCE_TYPES) == 146
    assert {name for name in type_names() if spec.structure(name).abstract} == {
        "Resource",
        "DomainResource",
        "Element",
        "BackboneElement",
    }
    assert kinds["primitive-type", False] == 20
    assert {"Patient", "Bundle", "Parameters", "Binary", "VisionPrescription"} <= spec.RESOURCE_TYPES
    assert spec.RESOURCE_TYPES.isdisjoint({"Resource", "DomainResource", "Citation", "NutritionProduct", "HumanName"})


def type_names() -> list[str]:
    return list(json.loads((FOLDER / "structures.json").read_text()))


def test_all_types_but_three_are_domain_resources() -> None:
    """R4 resource.html: Bundle, Binary and Parameters specialise Resource itself."""
    bases = {name: spec.structure(name).base for name in spec.RESOURCE_TYPES}
    assert {name for name, base in bases.items() if base == "Resource"} == {"Bundle", "Binary", "Parameters"}
    assert set(bases.values()) == {"Resource", "DomainResource"}


def test_elements_of_a_resource() -> None:
    """R4 observation.html and patient.html"""
    observation = spec.structure("Observation")
    status = observation.elements["Observation.status"]
    assert (status.min, status.max, status.types, status.many) == (1, "1", ("code",), False)
    assert status.modifier
    assert status.summary
    assert status.binding == "http://hl7.org/fhir/ValueSet/observation-status"
    assert set(observation.elements["Observation.value[x]"].types) == {
        "Quantity",
        "CodeableConcept",
        "string",
        "boolean",
        "integer",
        "Range",
        "Ratio",
        "SampledData",
        "time",
        "dateTime",
        "Period",
    }
    assert set(observation.elements["Observation.subject"].targets) == {"Patient", "Group", "Device", "Location"}
    assert observation.elements["Observation.component"].many
    assert set(spec.structure("Patient").children["Patient.contact"]) == {
        "id",
        "extension",
        "modifierExtension",
        "relationship",
        "name",
        "telecom",
        "address",
        "gender",
        "organization",
        "period",
    }
    assert spec.structure("Questionnaire").elements["Questionnaire.item.item"].content == "Questionnaire.item"
    assert any(key == "pat-1" for key, _, _ in spec.structure("Patient").elements["Patient.contact"].invariants)


def test_an_unknown_type_is_a_key_error() -> None:
    assert not spec.is_type("Patiens")
    assert spec.is_type("HumanName")
    for ask in (spec.structure, spec.search_parameters, spec.compartment):
        with pytest.raises(KeyError):
            ask("Patiens")


def test_every_type_named_by_an_element_is_known() -> None:
    for name in type_names():
        structure = spec.structure(name)
        if structure.kind == "primitive-type":  # Their parts are FHIRPath's own types.
            continue
        for path, element in structure.elements.items():
            assert all(spec.is_type(part) for part in element.types), path
            assert element.content is None or element.content in structure.elements, path


def test_codes_of_required_bindings() -> None:
    """R4 valueset-administrative-gender.html, valueset-observation-status.html, valueset-languages.html"""
    assert spec.codes("http://hl7.org/fhir/ValueSet/administrative-gender") == {
        "http://hl7.org/fhir/administrative-gender": ("male", "female", "other", "unknown")
    }
    [status] = (spec.codes("http://hl7.org/fhir/ValueSet/observation-status") or {}).values()
    assert set(status) == {
        "registered",
        "preliminary",
        "final",
        "amended",
        "corrected",
        "cancelled",
        "entered-in-error",
        "unknown",
    }
    types = spec.codes("http://hl7.org/fhir/ValueSet/resource-types") or {}
    assert {code for codes in types.values() for code in codes} == spec.RESOURCE_TYPES | {"Resource", "DomainResource"}
    assert spec.codes("http://hl7.org/fhir/ValueSet/mimetypes") is None
    assert spec.codes("http://example.org/none") is None


def own_parameters(resource_type: str) -> dict[str, str]:
    """Those of the type's own page."""
    found = spec.search_parameters(resource_type)
    return {code: parameter.type for code, parameter in found.items() if not code.startswith("_")}


def test_search_parameters_are_as_many_as_r4_has() -> None:
    """R4 searchparameter-registry.html: 1697 parameters of single types, counted once for each type that has them."""
    counts = {name: len(own_parameters(name)) for name in spec.RESOURCE_TYPES}
    assert counts["Patient"] == 23
    assert counts["Observation"] == 38
    assert counts["Task"] == 19
    assert counts["ServiceRequest"] == 21
    assert counts["Bundle"] == 5
    assert counts["Parameters"] == counts["Binary"] == 0
    assert sum(counts.values()) == 1697


def test_search_parameters_of_a_type() -> None:
    """R4 task.html#search and observation.html#search"""
    assert own_parameters("Person") == {
        "address": "string",
        "address-city": "string",
        "address-country": "string",
        "address-postalcode": "string",
        "address-state": "string",
        "address-use": "token",
        "birthdate": "date",
        "email": "token",
        "gender": "token",
        "identifier": "token",
        "link": "reference",
        "name": "string",
        "organization": "reference",
        "patient": "reference",
        "phone": "token",
        "phonetic": "string",
        "practitioner": "reference",
        "relatedperson": "reference",
        "telecom": "token",
    }
    parameters = spec.search_parameters("Observation")
    assert parameters["date"].expression == "Observation.effective"
    assert set(parameters["subject"].targets) == {"Device", "Group", "Location", "Patient"}
    composite = parameters["combo-code-value-quantity"]
    assert [(part.code, part.type) for part in composite.components] == [
        ("combo-code", "token"),
        ("combo-value-quantity", "quantity"),
    ]


@pytest.mark.parametrize("resource_type", ["Patient", "Binary"])
def test_every_type_has_the_parameters_of_all_resources(resource_type: str) -> None:
    """R4 search.html#all"""
    parameters = spec.search_parameters(resource_type)
    types = {code: parameter.type for code, parameter in parameters.items() if code.startswith("_")}
    assert types.items() >= {
        ("_id", "token"),
        ("_lastUpdated", "date"),
        ("_tag", "token"),
        ("_profile", "uri"),
        ("_security", "token"),
        ("_source", "uri"),
    }
    assert {"_text", "_content", "_list", "_has", "_type"} <= types.keys()


def test_parameter_numbers_are_unique_and_stay() -> None:
    """Rows of every database made so far are keyed by them."""
    numbers = [p.number for name in spec.RESOURCE_TYPES for p in spec.search_parameters(name).values()]
    assert len(numbers) == len(set(numbers))
    assert (min(numbers), max(numbers)) == (16, 3464)
    assert spec.parameter_number("Account", "_content") == 16
    assert spec.parameter_number("Observation", "code") == 2275
    assert spec.parameter_number("Patient", "identifier") == 2459
    assert spec.parameter_number("VisionPrescription", "status") == 3464
    with pytest.raises(KeyError):
        spec.parameter_number("Patient", "status")


@pytest.mark.parametrize(
    ("name", "types"), [("Patient", 66), ("Encounter", 25), ("RelatedPerson", 32), ("Practitioner", 59), ("Device", 32)]
)
def test_compartments_have_as_many_types_as_r4_gives_them(name: str, types: int) -> None:
    """R4 compartmentdefinition-patient.html and its four siblings: rows with a criterion."""
    compartment = spec.compartment(name)
    assert len(compartment) == types
    for resource_type, codes in compartment.items():
        known = spec.search_parameters(resource_type)
        for code in codes:
            assert code in known or code == "{def}", (resource_type, code)


def test_criteria_of_the_patient_compartment() -> None:
    """R4 compartmentdefinition-patient.html"""
    compartment = spec.compartment("Patient")
    assert compartment["Observation"] == ("subject", "performer")
    assert compartment["Appointment"] == ("actor",)
    assert set(compartment["AllergyIntolerance"]) == {"patient", "recorder", "asserter"}
    assert compartment["QuestionnaireResponse"] == ("subject", "author")
    assert compartment["Patient"] == ("link",)
    assert "Practitioner" not in compartment
    # R4 lists Task in the compartments of devices, encounters and people, but not of patients.
    assert "Task" not in compartment


def test_nothing_is_decoded_before_it_is_asked_for() -> None:
    code = """
from fhir_server import spec, validation
from fhir_server.validation.structure import shape
caches = [spec.structure, spec.search_parameters, spec.compartment, shape]
assert [c.cache_info().currsize for c in caches] == [0, 0, 0, 0]
validation.validate({"resourceType": "Basic", "code": {"text": "x"}})
assert "Basic" in spec.RESOURCE_TYPES and spec.structure.cache_info().currsize < 20
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_files_are_those_of_the_manifest() -> None:
    manifest = spec.manifest()
    assert manifest.source == {"name": "hl7.fhir.r4.examples", "version": "4.0.1", "license": "CC0-1.0"}
    assert set(manifest.files) == {file.name for file in FOLDER.glob("*.json")} - {"manifest.json"}
    for name, facts in manifest.files.items():
        content = (FOLDER / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (facts["bytes"], facts["sha256"]), name
        assert json.loads(content)


@pytest.mark.skipif(PACKAGE is None, reason="set FHIR_TEST_R4_PACKAGE to the package's folder")
def test_compiling_again_gives_the_same_bytes(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = repository / spec.manifest().script
    definition = importlib.util.spec_from_file_location("compile_spec", script)
    assert definition is not None
    assert definition.loader is not None
    compiler = importlib.util.module_from_spec(definition)
    definition.loader.exec_module(compiler)
    monkeypatch.setattr(compiler, "TARGET", tmp_path)
    compiler.main(Path(str(PACKAGE)))
    for file in FOLDER.glob("*.json"):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
