"""`fhir-server jobs run`: alone and beside a running server, by its exit status and what it says."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from fhir_server.cli.main import main
from tests.jobs.conftest import step
from tests.live_server import running_server


def test_it_does_what_is_due_beside_a_running_server_and_then_nothing(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2026-03-10T09:00:00+00:00")
    options = ("--clock", str(clock), "--jobs-seconds", "0")
    with (
        running_server(database_url, tmp_path, *options) as server,
        httpx.Client(base_url=f"{server.base_url}/") as http,
    ):
        http.put("Patient/p", json={"resourceType": "Patient", "id": "p"}).raise_for_status()
        for task in (
            step("opens", "draft", "2026-03-10", "2026-03-20"),
            step("closes", "requested", "2026-03-01", "2026-03-09"),
            step("reminds", "requested", "2026-03-07", "2026-03-20"),
        ):
            http.put(f"Task/{task['id']}", json=task).raise_for_status()
        run = ["jobs", "run", "--database", database_url, "--clock", str(clock)]
        assert main(run) == 0
        assert capsys.readouterr().out == "1 windows opened, 1 closed, 1 reminders made.\n"
        assert main(run) == 0
        assert capsys.readouterr().out == "0 windows opened, 0 closed, 0 reminders made.\n"
        assert http.get("Task/closes").json()["status"] == "failed"
        assert http.get("Communication?status=preparation&category=reminder").json()["entry"][0]["resource"][
            "about"
        ] == [{"reference": "Task/reminds"}]


def test_a_server_does_it_by_itself_at_its_start(database_url: str, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2026-03-05T09:00:00+00:00")
    options = ("--clock", str(clock), "--jobs-seconds", "0.05")
    with running_server(database_url, tmp_path, *options) as server, httpx.Client(base_url=server.base_url) as http:
        task = step("closes", "requested", "2026-03-01", "2026-03-09")
        http.put("/Task/closes", json=task).raise_for_status()
        clock.write_text("2026-03-10T00:00:00+00:00")
        for _ in range(200):
            if http.get("/Task/closes").json()["status"] == "failed":
                break
        assert http.get("/Task/closes").json()["meta"]["versionId"] == "2"


def test_without_content_it_says_what_is_missing(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "run", "--database", database_url]) == 1
    assert "start the server with its content" in capsys.readouterr().err
