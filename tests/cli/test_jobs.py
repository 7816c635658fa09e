"""`fhir-server jobs run`: alone and beside a running server, by its exit status and what it says."""

from __future__ import annotations

import json
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


def test_long_requests_are_listed_and_cancelled(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = str(tmp_path / "files")
    listing = ["jobs", "list", "--database", database_url]
    with (
        running_server(database_url, tmp_path, "--no-content", "--export-folder", files) as server,
        httpx.Client(base_url=f"{server.base_url}/") as http,
    ):
        assert main(listing) == 0
        assert capsys.readouterr().out == "There are no long requests.\n"
        http.put("Patient/p", json={"resourceType": "Patient", "id": "p"}).raise_for_status()
        place = http.get("$export", headers={"Prefer": "respond-async"}).headers["Content-Location"]
        while http.get(place).status_code == 202:
            continue
        job = place.rpartition("/")[2]
        assert main(listing) == 0
        titles, told = capsys.readouterr().out.splitlines()
        assert titles.split()[:4] == ["ID", "KIND", "STATE", "DONE"]
        assert told.split()[:3] == [job, "export", "completed"]
        assert main([*listing, "--json"]) == 0
        (one,) = map(json.loads, capsys.readouterr().out.splitlines())
        assert (one["id"], one["done"], one["request"]) == (job, "1 of 1", f"{server.base_url}/$export")
        cancel = ["jobs", "cancel", job, "--database", database_url, "--export-folder", files]
        assert main(cancel) == 0
        assert capsys.readouterr().out.startswith(f"export {job} ended")
        assert http.get(place).status_code == 404
        assert list(Path(files).iterdir()) == []
        assert main(cancel) == 1
        assert f"no long request {job}" in capsys.readouterr().err
