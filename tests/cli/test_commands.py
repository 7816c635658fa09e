"""The commands as a user calls them: help, refusals, load, check, migrate, version."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fhir_server.cli.main import COMMANDS
from fhir_server.cli.options import without_password
from fhir_server.settings import Settings


def call(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in `directory`."""
    return subprocess.run(
        [sys.executable, "-m", "fhir_server.cli.main", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **variables},
    )


def test_help_lists_every_command(tmp_path: Path) -> None:
    answer = call(tmp_path, "--help")
    assert answer.returncode == 0
    assert all(name in answer.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(tmp_path: Path, command: str) -> None:
    answer = call(tmp_path, command, "--help")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_every_setting_is_an_option_of_serve(tmp_path: Path) -> None:
    shown = call(tmp_path, "serve", "--help").stdout
    assert [name for name in Settings.model_fields if f"--{name.replace('_', '-')}" not in shown] == []


def test_version_loads_nothing_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys; from fhir_server.cli.main import main; main(['version']);"
        "print(sorted({'pydantic','fastapi','uvicorn','sqlalchemy','structlog','asyncio'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, loaded = answer.stdout.splitlines()
    assert version.count(".") == 2
    assert loaded == "[]"


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::"])
def test_other_than_loopback_is_refused_without_authentication(tmp_path: Path, host: str) -> None:
    answer = call(tmp_path, "serve", "--host", host, "--port", "0")
    assert answer.returncode == 2
    assert "--insecure-no-auth" in answer.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--port", "70000", "--port (FHIR_PORT)"),
        ("--workers", "none", "--workers (FHIR_WORKERS)"),
        ("--log-level", "loud", "--log-level (FHIR_LOG_LEVEL)"),
        ("--host", "no.such.host.invalid", "no.such.host.invalid"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, option: str, value: str, told: str) -> None:
    answer = call(tmp_path, "serve", option, value)
    assert answer.returncode == 2
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    answer = call(tmp_path, "check", FHIR_MAX_JSON_DEPTH="5")
    assert answer.returncode == 2
    assert "FHIR_MAX_JSON_DEPTH" in answer.stderr


def test_load_check_and_migrate_work_together(tmp_path: Path) -> None:
    good = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Ó Súilleabháin"}]}
    bad = {"resourceType": "Patient", "id": "p2", "gender": "man"}
    (tmp_path / "in.ndjson").write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    migrated = call(tmp_path, "migrate", "--database", "sqlite:///t.db")
    assert (migrated.returncode, migrated.stdout) == (0, "sqlite:///t.db: migrated\n")
    assert "up to date" in call(tmp_path, "migrate", FHIR_DATABASE="sqlite:///t.db").stdout
    loaded = call(
        tmp_path, "load", "in.ndjson", "--database", "sqlite:///t.db", "--workers", "1", "--report", "refused.ndjson"
    )
    assert loaded.returncode == 1
    assert loaded.stdout.startswith("1 created, 0 updated, 0 unchanged, 1 refused in ")
    assert "in.ndjson:2: Patient/p2: Patient.gender: " in loaded.stderr
    refused = json.loads((tmp_path / "refused.ndjson").read_text())
    assert (refused["file"], refused["line"], refused["resource"]) == ("in.ndjson", 2, "Patient/p2")
    assert refused["issue"][0]["expression"] == ["Patient.gender"]
    checked = call(tmp_path, "check", "--database", "sqlite:///t.db")
    assert (checked.returncode, checked.stdout) == (0, "Everything agrees.\n")
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("t.db*")}
    assert modes == {0o600}


def test_a_missing_file_is_told_without_a_trace(tmp_path: Path) -> None:
    answer = call(tmp_path, "load", "nowhere")
    assert answer.returncode == 1
    assert "nowhere" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_password_is_never_shown() -> None:
    assert without_password("postgresql://me:secret@h:5432/db") == "postgresql://me:***@h:5432/db"
    assert without_password("sqlite:///a.db") == "sqlite:///a.db"
