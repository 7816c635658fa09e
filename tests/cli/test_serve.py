"""`fhir-server serve` with its real store, alone and with several workers, on both engines."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.cli.test_commands import call
from tests.live_server import LiveServer, running_server

JSON = {"Content-Type": "application/fhir+json"}
HTTP = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=30)
"""Opens a connection for each request: the kernel spreads them over the workers."""


def pids(server: LiveServer) -> set[int]:
    """The worker processes, as the metrics name them."""
    page = HTTP.get(f"{server.root_url}/metrics").text
    lines = [line for line in page.splitlines() if line.startswith("fhir_process_resident_bytes{")]
    return {int(line.split('"')[1]) for line in lines}


def test_every_worker_sees_an_acknowledged_write(
    engine: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    with running_server(new_database(engine), tmp_path, "--workers", "3", "--no-content") as server:
        for n in range(10):
            body = json.dumps({"resourceType": "Patient", "id": f"p{n}", "multipleBirthInteger": n})
            written = HTTP.put(f"{server.base_url}/Patient/p{n}", content=body, headers=JSON)
            assert written.status_code == 201
            read = [HTTP.get(f"{server.base_url}/Patient/p{n}") for _ in range(6)]
            assert {answer.json().get("multipleBirthInteger") for answer in read} == {n}
        assert server.stop() == 0
    assert list(tmp_path.glob(".fhir-server-*")) == []


def test_writes_go_on_after_a_worker_was_killed(new_database: Callable[[str], str], tmp_path: Path) -> None:
    with running_server(new_database("sqlite"), tmp_path, "--workers", "2", "--no-content") as server:
        HTTP.put(f"{server.base_url}/Patient/before", content='{"resourceType":"Patient","id":"before"}', headers=JSON)
        workers: set[int] = set()
        while len(workers) < 2:
            workers = pids(server)
        # The first worker started is the writer.
        os.kill(min(workers), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while True:
            body = '{"resourceType":"Patient","id":"after"}'
            try:
                answer = HTTP.put(f"{server.base_url}/Patient/after", content=body, headers=JSON)
            except httpx.TransportError:
                continue
            if answer.status_code in (200, 201):
                break
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert time.monotonic() < deadline
        assert HTTP.get(f"{server.base_url}/Patient/before").status_code == 200


def test_no_output_names_a_demo_patient(engine: str, new_database: Callable[[str], str], tmp_path: Path) -> None:
    with running_server(new_database(engine), tmp_path, "--demo") as server:
        found = HTTP.get(f"{server.base_url}/Patient?_count=100").json()
        names, numbers = set(), set()
        for entry in found["entry"]:
            patient = entry["resource"]
            names |= {patient["name"][0]["family"], *patient["name"][0]["given"]}
            numbers |= {identifier["value"] for identifier in patient["identifier"]}
        assert names
        assert numbers
        for name in names:
            for path in (f"Patient?family={name}", f"Patient/{name}", f"{name}", f"Patient?{name}=1", f"${name}"):
                HTTP.get(f"{server.base_url}/{path}")
            HTTP.post(f"{server.base_url}/Patient", content=f'{{"resourceType":"{name}"}}', headers=JSON)
            HTTP.patch(f"{server.base_url}/Patient/{name}", content=name.encode(), headers=JSON)
        for number in numbers:
            HTTP.get(f"{server.base_url}/Patient?identifier=https://fhir.nhs.uk/Id/nhs-number|{number}")
        metrics = HTTP.get(f"{server.root_url}/metrics").text
        server.stop()
        written = server.log.read_text() + metrics
    assert [secret for secret in names | numbers if secret in written] == []


def test_a_database_that_is_not_there_ends_it_with_the_reason(tmp_path: Path) -> None:
    answer = call(tmp_path, "serve", "--port", "0", "--database", "postgresql://u@127.0.0.1:1/none")
    assert answer.returncode == 1
    assert answer.stderr.startswith("fhir-server: ")
    assert answer.stderr.count("\n") == 1
