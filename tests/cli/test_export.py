"""`fhir-server export`: to a folder and to a pipe, on each engine."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from tests.live_server import running_server


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "fhir_server.cli.main", "export", *arguments, "--database", url]
    return subprocess.run(words, capture_output=True, check=False)


def test_folder_and_pipe_and_what_is_refused(engine: str, new_database: Callable[[str], str], tmp_path: Path) -> None:
    url = new_database(engine)
    with running_server(url, tmp_path, "--demo"):
        """Its demo patients are stored."""
    piped = command(url, "-", "--type", "Patient")
    assert piped.returncode == 0, piped.stderr
    patients = [json.loads(line) for line in piped.stdout.splitlines()]
    assert {one["resourceType"] for one in patients} == {"Patient"}
    assert piped.stderr.decode().strip().endswith(f"{len(patients)} resources.")
    folder = tmp_path / "out"
    assert command(url, str(folder), "--patients", "--gzip", "--type", "Patient,Task").returncode == 0
    lines = gzip.decompress((folder / "Patient.1.ndjson.gz").read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == patients
    assert (folder / "Task.1.ndjson.gz").stat().st_mode & 0o777 == 0o600
    tables = tmp_path / "tables"
    assert command(url, str(tables), "--parquet", "--type", "Patient").returncode == 0
    assert pq.read_table(tables / "Patient.1.parquet").num_rows == len(patients)
    for arguments in (
        (str(folder),),
        ("-", "--parquet"),
        ("-", "--type", "Nothing"),
        ("-", "--group", "none"),
        ("-", "--since", "today"),
    ):
        refused = command(url, *arguments)
        assert (refused.returncode, refused.stdout) == (2, b"")
        assert refused.stderr.startswith(b"fhir-server: ")
