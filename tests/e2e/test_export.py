"""$export over HTTP on each engine: HL7 FHIR Bulk Data Access (Flat FHIR) STU 2, export.html."""

from __future__ import annotations

import gzip
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from tests.live_server import LiveServer, running_server, start_server
from tests.long_request import ended

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
ASYNC = {"Prefer": "respond-async"}
WAIT_SECONDS = 60
CONSENT = f"{BASE}/CodeSystem/msk-consent-category"


class Exports:
    """Asks one server for exports."""

    folder = Path()
    pid = 0

    def __init__(self, server: LiveServer) -> None:
        self.http = httpx.Client(base_url=f"{server.base_url}/", timeout=60)

    def store(self, *resources: Json) -> None:
        entry = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
        answer = self.http.post("", json=bundle)
        assert answer.status_code == 200, answer.text

    def begin(self, path: str = "$export", body: Json | None = None, **parameters: str | list[str]) -> httpx.Response:
        if body is not None:
            return self.http.post(path, json=body, headers=ASYNC)
        return self.http.get(path, params=parameters, headers=ASYNC)

    def wait(self, accepted: httpx.Response) -> Json:
        """The manifest."""
        assert accepted.status_code == 202, accepted.text
        answer = ended(self.http, accepted.headers["Content-Location"])
        assert answer.headers["Content-Type"] == "application/json"
        assert "Expires" in answer.headers
        manifest: Json = answer.json()
        return manifest

    def manifest(self, path: str = "$export", body: Json | None = None, **parameters: str | list[str]) -> Json:
        return self.wait(self.begin(path, body, **parameters))

    def resources(self, manifest: Json, which: str = "output") -> list[Json]:
        found = []
        for output in manifest[which]:
            answer = self.http.get(output["url"], headers={"Accept": "application/fhir+ndjson"})
            content = answer.content
            if output["url"].endswith(".gz"):
                assert answer.headers["Content-Type"] == "application/gzip"
                content = gzip.decompress(content)
            else:
                assert answer.headers["Content-Type"] == "application/fhir+ndjson"
            lines = [json.loads(line) for line in content.splitlines()]
            assert len(lines) == output["count"]
            assert {one["resourceType"] for one in lines} == {output["type"]}
            found += lines
        return found

    def exported(
        self, path: str = "$export", body: Json | None = None, **parameters: str | list[str]
    ) -> dict[str, Json]:
        """Resources by `Type/id`, none twice."""
        listed = self.resources(self.manifest(path, body, **parameters))
        found = {f"{one['resourceType']}/{one['id']}": one for one in listed}
        assert len(found) == len(listed)
        return found


@pytest.fixture(scope="module")
def exports(
    engine: str, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exports]:
    folder = tmp_path_factory.mktemp("exports")
    options = ("--no-content", "--export-folder", str(folder / "files"))
    with running_server(new_database(engine), folder, *options) as server:
        asking = Exports(server)
        asking.folder = folder / "files"
        asking.pid = server.pid
        asking.store(*PEOPLE)
        yield asking


def observation(name: str, patient: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "urn:test", "code": "pain"}], "text": "Pain"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-01",
        "valueInteger": 3,
        **more,
    }


def refusal(patient: str, category: str) -> Json:
    return {
        "resourceType": "Consent",
        "id": f"{category}-{patient}",
        "status": "active",
        "scope": {"text": "privacy"},
        "category": [{"coding": [{"system": CONSENT, "code": category}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "policyRule": {"text": "none"},
        "provision": {"type": "deny"},
    }


def opt_out(patient: str, status: str = "active", **period: str) -> Json:
    """The national data opt-out, as a Flag."""
    flag = {
        "resourceType": "Flag",
        "id": f"opt-out-{patient}",
        "status": status,
        "code": {"coding": [{"system": f"{BASE}/CodeSystem/msk-flag", "code": "national-data-opt-out"}]},
        "subject": {"reference": f"Patient/{patient}"},
    }
    return {**flag, "period": period} if period else flag


def group(name: str, *members: str, **flags: bool) -> Json:
    listed: list[Json] = [{"entity": {"reference": f"Patient/{one}"}} for one in members]
    for member in listed:
        if flags.get(member["entity"]["reference"].partition("/")[2]):
            member["inactive"] = True
    return {"resourceType": "Group", "id": name, "type": "person", "actual": True, "member": listed}


PEOPLE = [
    *({"resourceType": "Patient", "id": one, "gender": "female", "birthDate": "1960-01-01"} for one in "abcn"),
    {"resourceType": "Practitioner", "id": "staff"},
    *(observation(f"of-{one}", one) for one in "abcn"),
    observation("other-code", "a", code={"coding": [{"system": "urn:test", "code": "range"}]}, valueInteger=7),
    {
        "resourceType": "Appointment",
        "id": "shared",
        "status": "proposed",
        "participant": [{"actor": {"reference": f"Patient/{one}"}, "status": "needs-action"} for one in "an"],
    },
    refusal("n", "research"),
    refusal("b", "reminders"),
    group("clinic", "a", "c", "n", c=True),
    group("with-lost", "a", "lost"),
]
SYSTEM = {
    "Patient/a", "Patient/b", "Patient/c", "Practitioner/staff", "Observation/of-a", "Observation/of-b",
    "Observation/of-c", "Observation/other-code", "Consent/reminders-b", "Group/clinic", "Group/with-lost",
}  # fmt: skip
"""All but what is of the patient who refuses, also where it is of another too."""


def test_the_system_without_those_who_refuse(exports: Exports) -> None:
    manifest = exports.manifest()
    listed = exports.resources(manifest)
    assert {f"{one['resourceType']}/{one['id']}" for one in listed} == SYSTEM
    assert manifest["request"].endswith("/fhir/$export")
    assert (manifest["requiresAccessToken"], manifest["error"]) == (False, [])
    counts = {"patientsOptedOut": 1, "patientsNationallyOptedOut": 0, "patientsNotHere": 0}
    assert manifest["extension"] == {f"{BASE}/export": counts}
    for path in exports.folder.glob("*/*"):
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for one in listed:
        stored = exports.http.get(f"{one['resourceType']}/{one['id']}").content
        assert json.loads(stored) == one


def test_patients_and_types_and_elements_and_gzip(exports: Exports) -> None:
    found = exports.exported("Patient/$export", _type="Patient,Observation", _outputFormat="ndjson.gz")
    assert set(found) == {one for one in SYSTEM if one.startswith(("Patient/", "Observation/"))}
    found = exports.exported("Patient/$export", _type="Observation", _elements="Observation.value,id")
    assert set(found["Observation/of-a"]) == {"resourceType", "id", "meta", "status", "code", "valueInteger"}
    assert "SUBSETTED" in json.dumps(found["Observation/of-a"]["meta"])


@pytest.mark.parametrize("name", ["parquet", "application/vnd.apache.parquet"])
def test_parquet(exports: Exports, name: str, tmp_path: Path) -> None:
    """The same resources as the lines, with columns to join by."""
    lines = exports.exported(_type="Patient,Observation,Group")
    manifest = exports.manifest(_type="Patient,Observation,Group", _outputFormat=name)
    rows: list[Json] = []
    for entry in manifest["output"]:
        answer = exports.http.get(entry["url"], headers={"Accept": "*/*"})
        assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
        assert entry["url"].endswith(".parquet")
        (tmp_path / "file").write_bytes(answer.content)
        table = pq.read_table(tmp_path / "file").to_pylist()
        assert len(table) == entry["count"]
        assert {row["resource_type"] for row in table} == {entry["type"]}
        rows += table
    assert {f"{row['resource_type']}/{row['id']}": json.loads(row["resource"]) for row in rows} == lines
    for row in rows:
        meta = json.loads(row["resource"])["meta"]
        assert row["version_id"] == meta["versionId"]
        assert row["last_updated"] == datetime.fromisoformat(meta["lastUpdated"])
    of = {f"{row['resource_type']}/{row['id']}": row["patient"] for row in rows}
    assert (of["Observation/of-a"], of["Patient/a"], of["Group/clinic"]) == ("Patient/a", "Patient/a", None)


def test_a_broken_download_goes_on(exports: Exports) -> None:
    """RFC 9110 section 14; If-Range with the ETag of the first answer (13.1.5)."""
    (output,) = exports.manifest(_type="Patient")["output"]
    whole = exports.http.get(output["url"])
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")
    size = len(whole.content)
    for header, if_range, status, content in (
        ("bytes=0-9", None, 206, whole.content[:10]),
        ("bytes=10-", whole.headers["ETag"], 206, whole.content[10:]),
        ("bytes=10-", '"another"', 200, whole.content),
        ("bytes=-7", None, 206, whole.content[-7:]),
    ):
        headers = {"Range": header} | ({"If-Range": if_range} if if_range else {})
        answer = exports.http.get(output["url"], headers=headers)
        assert (answer.status_code, answer.content) == (status, content)
        assert answer.headers["Content-Length"] == str(len(content))
    refused = exports.http.get(output["url"], headers={"Range": f"bytes={size}-"})
    assert (refused.status_code, refused.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert refused.json()["resourceType"] == "OperationOutcome"


def test_a_search_for_a_type(exports: Exports) -> None:
    """`_typeFilter`: what any of them finds, each once; other types are whole."""
    filters = ["Observation?code=urn:test|range", "Observation?code=urn:test|range&patient=Patient/a"]
    found = exports.exported(_type="Observation,Patient", _typeFilter=filters)
    assert set(found) == {"Observation/other-code", "Patient/a", "Patient/b", "Patient/c"}
    for path in ("$export", "Patient/$export"):
        found = exports.exported(path, _type="Observation", _typeFilter="Observation?code=urn:test|pain")
        assert set(found) == {"Observation/of-a", "Observation/of-b", "Observation/of-c"}


def test_a_group(exports: Exports) -> None:
    """Active members; one who is not here is counted."""
    assert set(exports.exported("Group/clinic/$export")) == {"Patient/a", "Observation/of-a", "Observation/other-code"}
    manifest = exports.manifest("Group/with-lost/$export", _type="Patient")
    assert [one["id"] for one in exports.resources(manifest)] == ["a"]
    assert manifest["extension"][f"{BASE}/export"]["patientsNotHere"] == 1


def test_the_national_data_opt_out(exports: Exports) -> None:
    """Nothing of the patient is in any file, nor that it was deleted, while a Flag of it is active."""
    names = [f"o{uuid.uuid4().hex[:8]}{letter}" for letter in "abcde"]
    flagged, ended, later, inactive, other = names
    exports.store(*({"resourceType": "Patient", "id": one} for one in names))
    exports.store(*(observation(f"x-{one}", one) for one in names), observation(f"y-{flagged}", flagged))
    exports.store(
        opt_out(flagged, start="2026-01-01"),
        opt_out(ended, end="2026-01-01"),
        opt_out(later, start="2999-01-01"),
        opt_out(inactive, status="inactive"),
        group(f"g-{flagged}", *names),
    )
    kept = {ended, later, inactive, other}
    try:
        for path in ("$export", "Patient/$export", f"Group/g-{flagged}/$export"):
            manifest = exports.manifest(path, _type="Patient,Observation,Flag")
            listed = exports.resources(manifest)
            assert not [one for one in listed if flagged in json.dumps(one)]
            assert {one["id"] for one in listed if one["resourceType"] == "Patient"} >= kept
            told = manifest["extension"][f"{BASE}/export"]
            assert (told["patientsOptedOut"], told["patientsNationallyOptedOut"]) == (2, 1)
        exports.http.delete(f"Observation/y-{flagged}").raise_for_status()
        exports.http.delete(f"Observation/x-{other}").raise_for_status()
        since = exports.manifest(_type="Observation", _since=manifest["transactionTime"])
        told = [one["entry"][0]["request"]["url"] for one in exports.resources(since, "deleted")]
        assert told == [f"Observation/x-{other}"]
    finally:
        exports.http.delete(f"Group/g-{flagged}")
        for one in names:
            for gone in (f"Flag/opt-out-{one}", f"Observation/x-{one}", f"Patient/{one}"):
                exports.http.delete(gone)
    assert exports.manifest()["extension"][f"{BASE}/export"]["patientsOptedOut"] == 1


def test_named_patients(exports: Exports) -> None:
    patients = [{"name": "patient", "valueReference": {"reference": f"Patient/{one}"}} for one in "bn"]
    body = {"resourceType": "Parameters", "parameter": patients}
    assert set(exports.exported("Patient/$export", body)) == {"Patient/b", "Observation/of-b", "Consent/reminders-b"}
    answer = exports.begin("Group/clinic/$export", body)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "business-rule")


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("$export", {"_type": "Nothing"}, 400),
        ("Patient/$export", {"_type": "Practitioner"}, 400),
        ("$export", {"_since": "yesterday"}, 400),
        ("$export", {"_since": "2026-03-01"}, 400),
        ("$export", {"_until": "2026"}, 400),
        ("$export", {"_outputFormat": "text/csv"}, 400),
        ("$export", {"_typeFilter": "Observation"}, 400),
        ("$export", {"_typeFilter": "Observation?nothing=1"}, 400),
        ("$export", {"_typeFilter": "Observation?_count=1"}, 400),
        ("$export", {"_type": "Patient", "_typeFilter": "Observation?code=x"}, 400),
        ("$export", {"_elements": "Patient.nothing"}, 400),
        ("$export", {"includeAssociatedData": "LatestProvenanceResources"}, 400),
        ("$export", {"_deidentify": "no-key"}, 422),
        ("$export", {"_unknown": "1"}, 400),
        ("Group/none/$export", {}, 404),
    ],
)
def test_what_is_refused(exports: Exports, path: str, parameters: dict[str, str], status: int) -> None:
    answer = exports.begin(path, **parameters)
    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["severity"] == "error"


def test_it_is_answered_later_only(exports: Exports) -> None:
    answer = exports.http.get("$export")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "required")


def test_what_changes_later_is_in_the_next_export_and_only_there(exports: Exports) -> None:
    """`_since` the transactionTime of the export before: nothing is lost, nothing comes twice; deletions are told."""
    name = f"s{uuid.uuid4().hex[:8]}"
    exports.store({"resourceType": "Location", "id": f"{name}-1"}, {"resourceType": "Location", "id": f"{name}-2"})
    first = exports.manifest(_type="Location")
    exports.store({"resourceType": "Location", "id": f"{name}-1", "name": "Renamed"})
    exports.store({"resourceType": "Location", "id": f"{name}-3"})
    exports.http.delete(f"Location/{name}-2").raise_for_status()
    exports.http.delete(f"Location/{name}-3").raise_for_status()
    second = exports.manifest(_type="Location", _since=first["transactionTime"])
    assert [one["id"] for one in exports.resources(second)] == [f"{name}-1"]
    told = [one["entry"][0]["request"] for one in exports.resources(second, "deleted")]
    assert told == [{"method": "DELETE", "url": f"Location/{name}-{number}"} for number in (2, 3)]
    third = exports.manifest(_type="Location", _since=second["transactionTime"])
    assert (third["output"], third["deleted"]) == ([], [])
    assert exports.manifest(_type="Location", _until="2020-01-01T00:00:00Z")["output"] == []


def test_chains_lose_nothing_under_writers(exports: Exports) -> None:
    """What each export of a chain gives, laid over those before, is what is stored."""
    name, stop = f"w{uuid.uuid4().hex[:8]}", threading.Event()

    def write(writer: int) -> None:
        with httpx.Client(base_url=exports.http.base_url, timeout=60) as http:
            number = 0
            while not stop.is_set():
                number += 1
                device = {"resourceType": "Device", "id": f"{name}-{writer}-{number % 40}", "lotNumber": str(number)}
                if number % 7:
                    http.put(f"Device/{device['id']}", json=device).raise_for_status()
                else:
                    http.delete(f"Device/{device['id']}").raise_for_status()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    known: dict[str, Json] = {}
    since: dict[str, str] = {}
    for round_ in range(4):
        if round_ == 3:
            stop.set()
            for writer in writers:
                writer.join()
        manifest = exports.manifest(_type="Device", **since)
        since = {"_since": manifest["transactionTime"]}
        listed = exports.resources(manifest)
        assert len({one["id"] for one in listed}) == len(listed)
        known |= {one["id"]: one for one in listed}
        for bundle in exports.resources(manifest, "deleted") if "deleted" in manifest else []:
            known.pop(bundle["entry"][0]["request"]["url"].partition("/")[2], None)
    (whole,) = exports.manifest(_type="Device")["output"]
    assert whole["count"] == exports.http.get("Device", params={"_summary": "count"}).json()["total"]
    stored = exports.http.get("Device", params={"_count": "1000"}).json()["entry"]
    assert known == {one["resource"]["id"]: one["resource"] for one in stored}


def test_binaries_are_whole(exports: Exports) -> None:
    content = bytes(range(256)) * 2000
    answer = exports.http.post("Binary", content=content, headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 201, answer.text
    for more in ({}, {"_typeFilter": "Binary?_lastUpdated=ge2020"}):
        (binary,) = exports.resources(exports.manifest(_type="Binary", **more))
        stored = exports.http.get(f"Binary/{binary['id']}", headers={"Accept": "application/fhir+json"}).json()
        assert binary == stored


def test_a_cancelled_export_is_gone_with_its_files(exports: Exports) -> None:
    accepted = exports.begin(_type="Patient")
    manifest = exports.wait(accepted)
    address = accepted.headers["Content-Location"]
    assert exports.http.delete(address).status_code == 202
    assert exports.http.get(address).status_code == 404
    assert exports.http.get(manifest["output"][0]["url"]).status_code == 404


def test_the_process_that_exports_is_killed(exports: Exports) -> None:
    exports.manifest(_type="Group")
    for child in psutil.Process(exports.pid).children(recursive=True):
        if "fhir_server.bulk.export.process" in child.cmdline():
            child.kill()
    assert len(exports.resources(exports.manifest(_type="Group"))) == 2


def test_every_worker_takes_an_export_and_one_that_cannot_be_written_says_so(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    """On SQLite one process writes for all: a GET that is kept until later goes to it as well."""
    (tmp_path / "file").write_text("no folder")
    options = ("--no-content", "--workers", "3", "--export-folder", str(tmp_path / "file"))
    with running_server(new_database("sqlite"), tmp_path, *options) as server:
        asking = Exports(server)
        asking.store({"resourceType": "Location", "id": "l"})
        accepted = [httpx.get(f"{server.base_url}/$export", headers=ASYNC) for _ in range(12)]
        assert [one.status_code for one in accepted] == [202] * 12
        deadline = time.monotonic() + WAIT_SECONDS
        while (answer := asking.http.get(accepted[0].headers["Content-Location"])).status_code == 202:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answer.status_code == 422
        assert "cannot be written: Not a directory" in answer.json()["issue"][0]["diagnostics"]


def test_killed_in_the_middle_it_goes_on(engine: str, new_database: Callable[[str], str], tmp_path: Path) -> None:
    """No line is lost or doubled, whatever was written beyond what the job knows."""
    url, folder = new_database(engine), tmp_path / "files"
    options = ("--no-content", "--export-folder", str(folder))
    server = start_server(url, tmp_path, *options)
    try:
        asking = Exports(server)
        for start in range(0, 3000, 1000):
            asking.store(*({"resourceType": "Location", "id": f"l{n}"} for n in range(start, start + 1000)))
        address = asking.begin(_type="Location").headers["Content-Location"]
        server.kill()
        job = address.rpartition("/")[2]
        (folder / job).mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / job / "Location.1.ndjson").write_bytes(b'{"resourceType":"Location","id":"half')
        server = start_server(url, tmp_path, *options)
        asking = Exports(server)
        deadline = time.monotonic() + WAIT_SECONDS
        while (answer := asking.http.get(f"_async/{job}")).status_code == 202:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        listed = [
            json.loads(line)["id"]
            for output in answer.json()["output"]
            for line in (folder / job / output["url"].rpartition("/")[2]).read_bytes().splitlines()
        ]
        assert sorted(listed) == sorted(f"l{n}" for n in range(3000))
    finally:
        server.kill()
