"""`fhir-server fhirpath EXPR FILE` as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PATIENT = '{"resourceType":"Patient","name":[{"given":["Ada","Augusta"]}],"multipleBirthInteger":2}'
OBSERVATION = '{"resourceType":"Observation","valueQuantity":{"value":1.50,"unit":"m"}}'


def call(directory: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fhir_server.cli.main", "fhirpath", *arguments],
        cwd=directory,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_resource_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(PATIENT.replace(",", ",\n"))
    answer = call(tmp_path, "Patient.name.given", "p.json")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, '["Ada","Augusta"]\n', "")


def test_ndjson_gives_a_line_for_each_resource(tmp_path: Path) -> None:
    (tmp_path / "all.ndjson").write_text(f"{PATIENT}\n\n{OBSERVATION}\n")
    answer = call(tmp_path, "Observation.value.value | Patient.multipleBirth", "all.ndjson")
    assert (answer.returncode, answer.stdout) == (0, "[2]\n[1.50]\n")


def test_standard_input(tmp_path: Path) -> None:
    answer = call(tmp_path, "1 + %a", "-", text=PATIENT)
    assert answer.returncode == 1
    assert answer.stderr == (
        "fhir-server: -: The variable %a is not defined, at column 5 of the FHIRPath expression.\n"
    )
    assert call(tmp_path, "name.count()", "-", text=PATIENT).stdout == "[1]\n"


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    answer = call(tmp_path, "name.count()", "-", text=f"{PATIENT}\nnot JSON\n{{}}\n{PATIENT}\n")
    assert (answer.returncode, answer.stdout) == (1, "[1]\n[1]\n")
    assert "-:2: The body is not valid JSON" in answer.stderr
    assert "-:3: A FHIRPath expression is evaluated on a resource" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("name.", "-"), "column 6"),
        (("name.nothing()", "-"), "no function nothing()"),
        (("name", "missing.json"), "missing.json: No such file"),
        (("name",), "FILE"),
    ],
)
def test_wrong_calls_end_with_2(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    answer = call(tmp_path, *arguments, text=PATIENT)
    assert answer.returncode == 2
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


def test_strict_refuses_unknown_elements(tmp_path: Path) -> None:
    answer = call(tmp_path, "name.give", "-", "--strict", text=PATIENT)
    assert answer.returncode == 1
    assert "HumanName has no element give" in answer.stderr
