"""The commands as a user calls them: help, refusals, load, check, migrate, version."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
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
        ("--database", "mysql://x", "--database (FHIR_DATABASE): must be sqlite:///PATH or postgresql://"),
        ("--database", "", "--database"),
        ("--database", "sqlite:///", "--database"),
        ("--database", "postgresql://u:secret@127.0.0.1:port/x", "--database"),
        ("--database", "postgresql://u:sec#ret@127.0.0.1/x", "--database"),
        ("--database", "postgresql://[/x", "--database"),
        ("--base-url", "foo", "--base-url"),
        ("--base-url", "ftp://x", "--base-url"),
        ("--canonical-base", "not a url", "--canonical-base"),
        ("--trusted-proxies", "bad/x", "--trusted-proxies (FHIR_TRUSTED_PROXIES): bad/x is not"),
        ("--cors-origins", "foo", "--cors-origins"),
        ("--cors-origins", "https://app.example.org/page", "--cors-origins"),
        ("--time-zone", "Mars/X", "--time-zone"),
        ("--time-zone", "../etc/passwd", "--time-zone"),
        ("--default-count", "5000", "default_count is larger than max_count"),
        ("--host", "no.such.host.invalid", "no.such.host.invalid"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, option: str, value: str, told: str) -> None:
    answer = call(tmp_path, "serve", option, value)
    assert answer.returncode == 2
    assert told in answer.stderr
    assert "sec" not in answer.stderr
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
    assert refused["resourceType"] == "OperationOutcome"
    assert [one["valueString"] for one in refused["extension"]] == ["in.ndjson"]
    assert [one["valueInteger"] for one in refused["issue"][0]["extension"]] == [2]
    assert refused["issue"][0]["details"] == {"text": "Patient/p2"}
    assert refused["issue"][0]["expression"] == ["Patient.gender"]
    checked = call(tmp_path, "check", "--database", "sqlite:///t.db")
    assert (checked.returncode, checked.stdout) == (0, "Everything agrees.\n")
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("t.db*")}
    assert modes == {0o600}


def test_a_missing_file_is_told_without_a_trace(tmp_path: Path) -> None:
    answer = call(tmp_path, "load", "nowhere")
    assert answer.returncode == 2
    assert "nowhere" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", ["check", "migrate", "serve", "load"])
@pytest.mark.parametrize(
    "database", ["sqlite:///nowhere/t.db", "sqlite:///.", "sqlite:///in.json", "postgresql://u:secret@127.0.0.1:1/none"]
)
def test_a_database_that_cannot_be_used_is_told_in_a_line(tmp_path: Path, command: str, database: str) -> None:
    (tmp_path / "in.json").write_text('{"resourceType":"Patient","id":"p1"}' * 50)
    arguments = {"load": ("in.json",), "serve": ("--port", "0")}.get(command, ())
    answer = call(tmp_path, command, *arguments, "--database", database)
    assert answer.returncode == 1
    assert answer.stderr.startswith("fhir-server: ")
    assert "Traceback" not in answer.stderr
    assert "secret" not in answer.stderr + answer.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["in.json"]


def test_check_looks_only(tmp_path: Path) -> None:
    answer = call(tmp_path, "check", "--database", "sqlite:///typo.db")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "no database at typo.db" in answer.stderr
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE other (x)").connection.close()
    assert "run fhir-server migrate first" in call(tmp_path, "check", "--database", "sqlite:///empty.db").stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty.db"]


@pytest.mark.parametrize("arguments", [("--workers", "0"), ("--workers", "-3"), ("--report", "nowhere/r")])
def test_load_names_wrong_options(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "in.json").write_text('{"resourceType":"Patient","id":"p1"}')
    answer = call(tmp_path, "load", "in.json", *arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Traceback" not in answer.stderr
    assert arguments[1] in answer.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["in.json"]


def test_a_folder_with_nothing_to_load_is_told(tmp_path: Path) -> None:
    answer = call(tmp_path, "load", ".")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "nothing to load" in answer.stderr


def test_an_unknown_host_is_told(tmp_path: Path) -> None:
    answer = call(tmp_path, "check", "--database", "postgresql://u:secret@no.such.host.invalid/x")
    assert answer.returncode == 1
    assert answer.stderr.startswith("fhir-server: the host of the database cannot be found")
    assert "secret" not in answer.stderr


def test_a_variable_that_is_no_setting_is_told(tmp_path: Path) -> None:
    answer = call(tmp_path, "check", "--database", "sqlite:///typo.db", FHIR_PROT="1", FHIR_TEST_X="1")
    assert "FHIR_PROT is no setting" in answer.stderr
    assert "FHIR_TEST_X" not in answer.stderr


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupted_load_tells_what_is_stored(tmp_path: Path, times: int) -> None:
    lines = (f'{{"resourceType":"Patient","id":"p{n}","gender":"{"x" if n == 0 else "male"}"}}' for n in range(60_000))
    (tmp_path / "in.ndjson").write_text("\n".join(lines))
    os.mkfifo(tmp_path / "refused")
    loading = subprocess.Popen(
        [sys.executable, "-m", "fhir_server.cli.main", "load", str(tmp_path / "in.ndjson"), "--workers", "1",
         "--database", f"sqlite:///{tmp_path}/t.db", "--report", str(tmp_path / "refused")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with (tmp_path / "refused").open() as report:
        # The first batch is stored when its refusal is told.
        assert "p0" in report.readline()
        for _ in range(times):
            os.killpg(loading.pid, signal.SIGINT)
        out, errors = loading.communicate(timeout=30)
    assert loading.returncode == 130
    stored = sqlite3.connect(tmp_path / "t.db").execute("SELECT count(*) FROM version").fetchone()[0]
    assert 499 <= int(out.split()[0]) == stored < 59_999
    assert errors.count("\n") == 1  # the refusal of p0


def test_a_killed_load_goes_on_where_it_was(tmp_path: Path) -> None:
    """Neither a line lost nor one doubled, also of resources without an id; what was read is not read again."""
    lines = [f'{{"resourceType":"Patient","identifier":[{{"value":"n{n}"}}]}}' for n in range(12_000)]
    (tmp_path / "in.ndjson").write_text("\n".join(lines))
    command = ["load", "in.ndjson", "--database", "sqlite:///t.db", "--workers", "1", "--resume", "state"]
    loading = subprocess.Popen(
        [sys.executable, "-m", "fhir_server.cli.main", *command], cwd=tmp_path, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while not (tmp_path / "state").exists():
        assert loading.poll() is None
    os.killpg(loading.pid, signal.SIGKILL)
    loading.wait()
    assert json.loads((tmp_path / "state").read_text())["place"]["line"] < 12_000
    (tmp_path / "other.ndjson").write_text(lines[0])
    other = call(tmp_path, "load", "other.ndjson", *command[2:])
    assert (other.returncode, "other files" in other.stderr) == (2, True)
    again = call(tmp_path, *command)
    assert again.returncode == 0, again.stderr
    told = re.match(r"(\d+) created, 0 updated, (\d+) unchanged, 0 refused", again.stdout)
    assert told is not None
    # One batch may have been written without its place being kept.
    assert (int(told[1]) < 12_000, int(told[2]) <= 500) == (True, True)
    values = "SELECT count(*), count(DISTINCT v) FROM text WHERE v LIKE 'n%'"
    assert sqlite3.connect(tmp_path / "t.db").execute(values).fetchone() == (12_000, 12_000)
    assert not (tmp_path / "state").exists()


def test_an_interrupt_while_it_starts_leaves_no_trace(tmp_path: Path) -> None:
    code = (
        "import os, signal; from fhir_server.cli import main; real = main.import_module;"
        "main.import_module = lambda name: (os.kill(os.getpid(), signal.SIGINT), real(name))[1];"
        "raise SystemExit(main.main(['load', 'in']))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, "", "")


def test_a_password_is_never_shown() -> None:
    assert without_password("postgresql://me:secret@h:5432/db") == "postgresql://me:***@h:5432/db"
    assert without_password("sqlite:///a.db") == "sqlite:///a.db"
