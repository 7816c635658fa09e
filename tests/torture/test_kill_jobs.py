"""kill -9 in the middle of the jobs: no step is moved twice or by halves, and the next run does the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.jobs.conftest import step
from tests.live_server import running_server
from tests.torture.writers import check_database


@pytest.mark.parametrize("steps", [600, pytest.param(4000, marks=pytest.mark.torture)])
def test_jobs_killed_are_finished_by_the_next_run(database_url: str, tmp_path: Path, steps: int) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2026-03-10T09:00:00+00:00")
    command = [sys.executable, "-m", "fhir_server.cli.main", "jobs", "run", "--database", database_url]
    command += ["--clock", str(clock)]
    options = ("--clock", str(clock), "--jobs-seconds", "0")
    with running_server(database_url, tmp_path, *options) as server, httpx.Client(base_url=server.base_url) as http:
        tasks = [step(f"s{n}", "requested", "2026-03-01", "2026-03-09") for n in range(steps)]
        entry = [{"resource": one, "request": {"method": "PUT", "url": f"Task/{one['id']}"}} for one in tasks]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
        http.post("", json=bundle, timeout=120).raise_for_status()

        def missed() -> int:
            answer = http.get("/Task", params={"status": "failed", "_summary": "count"})
            assert answer.status_code == 200, answer.text
            total: int = answer.json()["total"]
            return total

        job = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while job.poll() is None and missed() == 0:
            """Until the first batch is seen."""
        job.kill()
        job.wait()
        before = missed()
        assert 0 < before <= steps
        done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert done == f"0 windows opened, {steps - before} closed, 0 reminders made.\n"
        assert missed() == steps
        page = http.get("/Task", params={"status": "failed", "_count": "1000"}).json()["entry"]
        assert {one["resource"]["meta"]["versionId"] for one in page} == {"2"}
    check_database(database_url)
