"""Bulk data under faults: a Group of very many, kill -9 and a full disk in the middle of an export."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.test_export import BASE, Exports
from tests.live_server import LiveServer, running_server, start_server
from tests.long_request import ended

Json = dict[str, Any]
MEMORY = 300_000_000
"""Bytes that the exporting process may take; some 90 MB of it are the program."""


def loaded(database: str, folder: Path, patients: int) -> None:
    """Patients p0, p1, ..., and the Group `all` of them and ten who are not here."""
    member = [{"entity": {"reference": f"Patient/p{n}"}} for n in range(patients + 10)]
    group = {"resourceType": "Group", "id": "all", "type": "person", "actual": True, "member": member}
    file = folder / "in.ndjson"
    with file.open("w") as out:
        for n in range(patients):
            out.write(json.dumps({"resourceType": "Patient", "id": f"p{n}", "gender": "male"}) + "\n")
        out.write(json.dumps(group) + "\n")
    subprocess.run(
        [sys.executable, "-m", "fhir_server.cli.main", "load", file, "--database", database],
        check=True,
        capture_output=True,
    )


def exporting(server: LiveServer) -> psutil.Process | None:
    for child in psutil.Process(server.pid).children(recursive=True):
        if "fhir_server.bulk.export.process" in " ".join(child.cmdline()):
            return child
    return None


@pytest.mark.torture
def test_a_group_of_very_many_with_members_deleted_meanwhile(database_url: str, tmp_path: Path) -> None:
    """One who was deleted before is missing; one who is deleted later was there at the moment of the export."""
    members = 200_000
    loaded(database_url, tmp_path, members)
    options = ("--no-content", "--export-folder", str(tmp_path / "files"))
    with running_server(database_url, tmp_path, *options) as server:
        asking = Exports(server)
        asking.http.delete("Patient/p0").raise_for_status()
        accepted = asking.begin("Group/all/$export", _type="Patient")
        asking.http.delete("Patient/p1").raise_for_status()
        memory = 0
        job = accepted.headers["Content-Location"].rpartition("/")[2]
        while asking.http.get(f"_async/{job}").status_code == 202:
            process = exporting(server)
            memory = max(memory, process.memory_info().rss if process is not None else 0)
        manifest = ended(asking.http, f"_async/{job}").json()
        ids = [one["id"] for one in asking.resources(manifest)]
        assert len(ids) == len(set(ids)) == members - 1
        assert {"p1", f"p{members - 1}"} <= set(ids)
        assert manifest["extension"][f"{BASE}/export"]["patientsNotHere"] == 11
        assert memory < MEMORY


@pytest.mark.torture
def test_killed_again_and_again_an_export_loses_and_doubles_nothing(database_url: str, tmp_path: Path) -> None:
    patients, kills = 300_000, 4
    loaded(database_url, tmp_path, patients)
    options = ("--no-content", "--export-folder", str(tmp_path / "files"))
    server = start_server(database_url, tmp_path, *options)
    try:
        asking = Exports(server)
        job = asking.begin(_type="Patient").headers["Content-Location"].rpartition("/")[2]
        for kill in range(kills):
            before = _written(tmp_path)
            while _written(tmp_path) == before and asking.http.get(f"_async/{job}").status_code == 202:
                time.sleep(0.01)
            if kill % 2 == 0:
                server.kill()
                server = start_server(database_url, tmp_path, *options)
                asking = Exports(server)
            elif (process := exporting(server)) is not None:
                os.kill(process.pid, signal.SIGKILL)
        ids = [one["id"] for one in asking.resources(ended(asking.http, f"_async/{job}").json())]
        assert len(ids) == len(set(ids)) == patients == _count(asking)
    finally:
        server.stop()


def test_a_full_disk_ends_an_export_and_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    """A write beyond the limit fails as one on a full disk does (setrlimit(2), EFBIG)."""
    loaded(database_url, tmp_path, 3000)
    folder = tmp_path / "files"
    with running_server(database_url, tmp_path, "--no-content", "--export-folder", str(folder)) as server:
        asking = Exports(server)
        ended(asking.http, asking.begin(_type="Group").headers["Content-Location"]).json()
        process = exporting(server)
        assert process is not None
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, hard))
        job = asking.begin(_type="Patient").headers["Content-Location"].rpartition("/")[2]
        outcome = ended(asking.http, f"_async/{job}", 422).json()
        assert "The files cannot be written" in outcome["issue"][0]["diagnostics"]
        asking.http.delete(f"_async/{job}").raise_for_status()
        assert not (folder / job).exists()
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        again = ended(asking.http, asking.begin(_type="Patient").headers["Content-Location"]).json()
        assert len(asking.resources(again)) == 3000


def test_files_that_were_changed_behind_the_servers_back_are_not_made_up(database_url: str, tmp_path: Path) -> None:
    """Links are not followed, and what is gone is told."""
    loaded(database_url, tmp_path, 100)
    folder = tmp_path / "files"
    with running_server(database_url, tmp_path, "--no-content", "--export-folder", str(folder)) as server:
        asking = Exports(server)
        job = asking.begin(_type="Patient").headers["Content-Location"].rpartition("/")[2]
        (output,) = ended(asking.http, f"_async/{job}").json()["output"]
        file = folder / job / "Patient.1.ndjson"
        file.unlink()
        assert asking.http.get(output["url"]).status_code == 410
        (tmp_path / "secret").write_text("secret")
        file.symlink_to(tmp_path / "secret")
        answer = asking.http.get(output["url"])
        assert (answer.status_code, "secret" in answer.text) == (410, False)
        for name in ("..%2f..%2fsecret", "%2e%2e", "Patient.1.ndjson%00", "x" * 5000):
            assert asking.http.get(f"_async/{job}/{name}").status_code in (400, 404, 414)


def _written(tmp_path: Path) -> int:
    return sum(one.stat().st_size for one in (tmp_path / "files").rglob("*.ndjson"))


def _count(asking: Exports) -> int:
    total: int = asking.http.get("Patient", params={"_summary": "count"}).json()["total"]
    return total
