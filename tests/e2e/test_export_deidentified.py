"""$export with `_deidentify` over HTTP and `fhir-server export --deidentify`, on each engine: no text that was planted
anywhere comes out, and what belongs together stays together."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model.json import decode, encode
from fhir_server.validation import issues
from tests.deidentification.canaries import MARK, Planter
from tests.e2e.test_export import Exports as Exporting
from tests.e2e.test_export import group, observation, refusal
from tests.live_server import running_server

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
KEY = "a secret of more than thirty-two characters"
TYPES = [
    "AllergyIntolerance", "Appointment", "CarePlan", "CareTeam", "Communication", "Condition", "Consent", "Device",
    "DiagnosticReport", "DocumentReference", "Encounter", "EpisodeOfCare", "Flag", "Goal", "Group",
    "HealthcareService", "ImagingStudy", "List", "Location", "MeasureReport", "MedicationRequest",
    "MedicationStatement", "Observation", "Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure",
    "Provenance", "QuestionnaireResponse", "RelatedPerson", "Schedule", "ServiceRequest", "Slot", "Task",
]  # fmt: skip
IMD = f"{BASE}/StructureDefinition/msk-imd"
PATIENT = {
    "resourceType": "Patient",
    "id": "real-1",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}],
    "name": [{"family": "Staniforth"}],
    "gender": "female",
    "birthDate": "1960-05-17",
    "deceasedDateTime": "2026-02-11T03:20:00Z",
    "address": [{"line": ["1 Road"], "postalCode": "S17 6ZZ"}],
    "extension": [
        {
            "url": IMD,
            "extension": [
                {"url": "index", "valueString": "IMD"},
                {"url": "version", "valueString": "2019"},
                {"url": "quintile", "valuePositiveInt": 2},
            ],
        }
    ],
}
OLD = {"resourceType": "Patient", "id": "real-2", "birthDate": "1921-01-02"}
SCORE = observation(
    "score-1",
    "real-1",
    code={"coding": [{"system": "http://snomed.info/sct", "code": "45326000", "display": "Shoulder pain"}]},
    note=[{"text": "Staniforth says"}],
)


class Exports(Exporting):
    database = ""
    planted: dict[str, int]
    """Type -> how many planted resources are stored."""


@pytest.fixture(scope="module")
def exports(
    engine: str, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exports]:
    folder = tmp_path_factory.mktemp("deidentified")
    url = new_database(engine)
    planter = Planter()
    resources = {name: list(planter.resources(name)) for name in TYPES}
    lines = [encode(one) for made in resources.values() for one in made]
    (folder / "planted.ndjson").write_bytes(b"\n".join(lines))
    # Loaded and not sent: no rule of the service may refuse what is planted.
    words = ["load", str(folder / "planted.ndjson"), "--database", url]
    loaded = subprocess.run([sys.executable, "-m", "fhir_server.cli.main", *words], capture_output=True, check=False)
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    options = ("--no-content", "--export-folder", str(folder / "files"), "--pseudonym-key", KEY)
    options += ("--questionnaire-validation", "off", "--nhs-number-check", "off")
    with running_server(url, folder, *options) as server:
        asking = Exports(server)
        asking.folder = folder
        asking.database = url
        asking.planted = {name: len(made) for name, made in resources.items()}
        asking.store(PATIENT, OLD, SCORE, {"resourceType": "Basic", "id": "b", "code": {"text": "other"}})
        asking.store(
            {"resourceType": "Patient", "id": "real-n"}, observation("of-n", "real-n"), refusal("real-n", "research")
        )
        asking.store(group("cohort", "real-1"))
        yield asking


def contents(exports: Exports, manifest: Json) -> Iterator[tuple[str, bytes]]:
    for output in (*manifest["output"], *manifest.get("deleted", ())):
        content = exports.http.get(output["url"]).content
        yield output["type"], gzip.decompress(content) if output["url"].endswith(".gz") else content


@pytest.mark.parametrize("output_format", ["ndjson", "ndjson.gz"])
def test_nothing_planted_comes_out(exports: Exports, output_format: str) -> None:
    manifest = exports.manifest(_deidentify="leaks", _outputFormat=output_format)
    found: dict[str, int] = {}
    for resource_type, content in contents(exports, manifest):
        at = content.upper().find(MARK.encode())
        assert at < 0, (resource_type, content[max(0, at - 200) : at + 80])
        lines = content.splitlines()
        found[resource_type] = found.get(resource_type, 0) + len(lines)
        for line in lines:
            resource = decode(line)
            assert not issues(resource), (line[:2000], issues(resource))
            assert "PSEUDED" in {label["code"] for label in resource["meta"]["security"]}
    own = {"Patient": 2, "Observation": 1, "Group": 1}
    assert found == {name: count + own.get(name, 0) for name, count in exports.planted.items()}
    told = manifest["extension"][f"{BASE}/export"]
    assert (told["deidentifiedFor"], told["typesLeftOut"]) == ("leaks", ["Basic"])


def exported(exports: Exports, project: str, **parameters: Any) -> dict[str, list[Json]]:
    """By type."""
    found: dict[str, list[Json]] = {}
    for one in exports.resources(exports.manifest(_deidentify=project, **parameters)):
        found.setdefault(one["resourceType"], []).append(one)
    return found


def test_what_is_kept(exports: Exports) -> None:
    """Year of birth and month of death, the quintile, codes and values; references lead to what was exported."""
    found = exported(
        exports,
        "kept",
        _type="Patient,Observation",
        _typeFilter=["Patient?_id=real-1,real-2", "Observation?_id=score-1"],
    )
    by_year = {one["birthDate"]: one for one in found["Patient"]}
    patient = by_year["1960"]
    assert set(by_year) == {"1960", str(datetime.now(UTC).year - 90)}
    assert set(patient) == {"resourceType", "id", "meta", "gender", "birthDate", "deceasedDateTime", "extension"}
    assert (patient["deceasedDateTime"], patient["extension"]) == ("2026-02", PATIENT["extension"])
    (score,) = found["Observation"]
    assert score == {
        "resourceType": "Observation",
        "id": score["id"],
        "meta": patient["meta"],
        "status": "final",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "45326000"}]},
        "subject": {"reference": f"Patient/{patient['id']}"},
        "effectiveDateTime": "2026-03-01",
        "valueInteger": 3,
    }
    assert patient["meta"] == {
        "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED"}]
    }


def test_a_group_and_elements(exports: Exports) -> None:
    of_group = exports.resources(exports.manifest("Group/cohort/$export", _deidentify="kept", _elements="subject,name"))
    (score,) = [one for one in of_group if one["resourceType"] == "Observation"]
    (patient,) = [one for one in of_group if one["resourceType"] == "Patient"]
    assert score["subject"] == {"reference": f"Patient/{patient['id']}"}
    assert set(score) == {"resourceType", "id", "meta", "status", "code", "subject"}
    assert set(patient) == {"resourceType", "id", "meta"}


def test_projects_share_no_pseudonym_and_one_is_stable(exports: Exports) -> None:
    types = ",".join(TYPES)
    one, again, other = (json.dumps(exported(exports, name, _type=types)) for name in ("one", "one", "other"))
    assert one == again
    pseudonyms = [
        set(re.findall(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)) for text in (one, other)
    ]
    assert len(pseudonyms[0]) == len(pseudonyms[1]) > 1000
    assert pseudonyms[0].isdisjoint(pseudonyms[1])


def test_deletions_are_told_by_pseudonym(exports: Exports) -> None:
    exports.store({"resourceType": "Location", "id": "real-place"})
    first = exports.manifest(_deidentify="gone", _type="Location", _typeFilter="Location?_id=real-place")
    (place,) = exports.resources(first)
    exports.http.delete("Location/real-place").raise_for_status()
    second = exports.manifest(_deidentify="gone", _type="Location", _since=first["transactionTime"])
    told = [one["entry"][0]["request"]["url"] for one in exports.resources(second, "deleted")]
    assert told == [f"Location/{place['id']}"]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "code", "said"),
    [
        ("$export", {"_deidentify": "no blanks"}, 400, "value", "name of a project"),
        ("$export", {"_deidentify": ""}, 400, "value", "_deidentify"),
        ("$export", {"_deidentify": "p", "_type": "Patient,Binary"}, 400, "not-supported", "Binary cannot"),
        ("Patient/$export", {"_deidentify": "p", "_type": "AuditEvent"}, 400, "not-supported", "AuditEvent cannot"),
    ],
)
def test_what_is_refused(exports: Exports, path: str, parameters: Json, status: int, code: str, said: str) -> None:
    answer = exports.begin(path, **parameters)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code), answer.text
    assert said in answer.json()["issue"][0]["diagnostics"]


def test_no_patient_can_be_picked(exports: Exports) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": "Patient/real-1"}},
            {"name": "_deidentify", "valueString": "p"},
        ],
    }
    answer = exports.begin("Patient/$export", body)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "not-supported")


def command(exports: Exports, *arguments: str, key: str = KEY) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "fhir_server.cli.main", "export", *arguments, "--database", exports.database]
    return subprocess.run(words, capture_output=True, check=False, env={**os.environ, "FHIR_PSEUDONYM_KEY": key})


def test_the_command_gives_the_same(exports: Exports, tmp_path: Path) -> None:
    piped = command(exports, "-", "--deidentify", "leaks", "--type", "Patient")
    assert piped.returncode == 0, piped.stderr
    assert [json.loads(line) for line in piped.stdout.splitlines()] == exported(exports, "leaks", _type="Patient")[
        "Patient"
    ]
    whole = command(exports, str(tmp_path / "out"), "--deidentify", "leaks")
    assert whole.returncode == 0, whole.stderr
    assert b"left out: Basic" in whole.stderr
    assert all(MARK.encode() not in path.read_bytes() for path in (tmp_path / "out").iterdir())
    refused = command(exports, "-", "--deidentify", "leaks", key="")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"FHIR_PSEUDONYM_KEY" in refused.stderr
    short = command(exports, "-", "--deidentify", "leaks", key="short")
    assert (short.returncode, short.stdout) == (2, b"")
    assert b"must have 32 characters" in short.stderr
